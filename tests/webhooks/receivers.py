"""Receivers on loopback, well-behaved and not, and networks that lead to them."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

#: What a receiver does with one request.
Behaviour = Callable[["_Handler"], None]


@dataclass
class Got:
    """One delivery as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str) -> Any:
        """The event, if the signature holds; raises if it does not."""
        return Webhook(secret).verify(self.body, self.headers)


class _Handler(BaseHTTPRequestHandler):
    server: "Receiver"
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.got.append(Got(self.path, dict(self.headers), body))
        self.server.behave(self)

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.got.append(Got(self.path, dict(self.headers), b""))
        answer(200)(self)

    def log_message(self, *args: Any) -> None:
        pass


class Receiver(ThreadingHTTPServer):
    """A firm's server, on a free port of this machine."""

    daemon_threads = True

    def __init__(self, behave: Behaviour) -> None:
        self.got: list[Got] = []
        self.lock = threading.Lock()
        self.behave = behave
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the sender may hang up


def answer(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answers at once."""

    def behave(handler: _Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return behave


@contextmanager
def receiving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(behave)
    if tls is not None:
        receiver.socket = tls.wrap_socket(
            receiver.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


@dataclass
class Listener:
    """Counts who connects, and says nothing."""

    port: int = 0
    connections: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def listening() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.02)
        seen = Listener(port=server.getsockname()[1])

        def accept() -> None:
            while not seen._stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                seen.connections += 1
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield seen
        finally:
            seen._stop.set()
            thread.join()


class Rebinding:
    """A resolver that says something else each time it is asked; the last again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    def __call__(self, _host: str, _port: int) -> list[str]:
        found = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return list(found)
