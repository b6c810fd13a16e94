"""Posts to one endpoint and says what came of it. Cannot be made to connect anywhere else.

The name is resolved once, every address it has must be public, and the connection goes to one of
those very addresses: there is no second look-up that a resolver could answer otherwise. Nothing is
followed, no proxy is taken from the environment, and the whole takes a fixed time at most, however
slowly the other side sends.
"""

import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import httpcore2
import httpx2

from app.kernel.terms import Term
from app.webhooks.addresses import Target, is_public

#: From the look-up of the name to the last byte of the answer.
DEADLINE_SECONDS = 5.0
#: Of an answer's body; the rest is left unread.
ANSWER_BYTES_MAX = 64 * 1024
#: Of an answer that refused, what is kept for the log.
ANSWER_KEPT_CHARACTERS = 1_024

#: Gives a host's addresses.
Resolve = Callable[[str, int], Sequence[str]]

_OK, _REDIRECTS, _GONE, _REFUSALS = 200, 300, 410, 400


class Outcome(Term):
    """What came of one sending."""

    DELIVERED = "delivered", "已送达", "Delivered"
    REFUSED = "refused", "接收方拒绝", "The receiver answered with an error"
    GONE = "gone", "接收方已停用 (410)", "The receiver wants no more (410)"
    REDIRECTED = "redirected", "接收方重定向，不予跟随", "The receiver redirects; not followed"
    TIMED_OUT = "timed_out", "超时", "No full answer within the time"
    UNREACHABLE = "unreachable", "无法连接", "No connection"
    TLS_FAILED = "tls_failed", "证书或加密失败", "The certificate or the encryption failed"
    ADDRESS_REFUSED = (
        "address_refused",
        "非公网地址，拒绝连接",
        "The name leads to an address that is not public",
    )
    NOT_HTTP = "not_http", "应答不是HTTP", "The answer is no HTTP"
    NOT_SIGNED = "not_signed", "签名密钥不可用", "The secret cannot be read; rotate it"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one sending; ``answer`` is how a refusal's body begins."""

    outcome: Outcome
    status: int | None = None
    answer: str | None = None


#: How long whoever registers a name waits for its addresses, and look-ups for them at a time.
REGISTERING_SECONDS = 1.0
_registering = threading.BoundedSemaphore(4)


class _AddressRefusedError(Exception):
    """The name has an address that is not public."""


def resolve(host: str, port: int) -> list[str]:
    """A host's addresses, as the machine's resolver orders them.

    Raises:
        OSError: it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


@dataclass(frozen=True)
class Network:
    """How addresses are found and which are connected to; tests bring their own."""

    resolve: Resolve = resolve
    is_allowed: Callable[[str], bool] = is_public
    deadline_seconds: float = DEADLINE_SECONDS
    tls: ssl.SSLContext = field(default_factory=lambda: httpx2.create_ssl_context(trust_env=False))


def leads_inside(resolve: Resolve, target: Target) -> bool:
    """Whether a name is found at once to have an address that nothing is sent to.

    For those who register one, to be told at once. What cannot be found, or not in a second, is
    taken: the name may come to be, and is judged at each delivery.
    """
    if target.is_loopback or not _registering.acquire(blocking=False):
        return False

    def look_up() -> Sequence[str]:
        # A look-up that hangs keeps its place until it ends, so that there are never many.
        try:
            return resolve(target.host, target.port)
        finally:
            _registering.release()

    try:
        found = _within(REGISTERING_SECONDS, look_up)
    except (httpcore2.TimeoutException, httpcore2.NetworkError):
        return False
    return not all(map(is_public, found))


def post(network: Network, target: Target, headers: Mapping[str, str], body: bytes) -> Result:
    """Send once, and wait for the answer no longer than the network's deadline."""
    backend = _Checked(network, target, monotonic() + network.deadline_seconds)
    sent = [("Host", target.host_header), ("Content-Length", str(len(body))), *headers.items()]
    url = httpcore2.URL(
        scheme=target.scheme, host=target.host, port=target.port, target=target.path
    )
    try:
        with (
            httpcore2.ConnectionPool(
                ssl_context=network.tls, network_backend=backend, max_connections=1
            ) as pool,
            pool.stream("POST", url, headers=sent, content=body) as response,
        ):
            return _judged(response)
    except _AddressRefusedError:
        return Result(Outcome.ADDRESS_REFUSED)
    except httpcore2.TimeoutException:
        return Result(Outcome.TIMED_OUT)
    except httpcore2.ProtocolError:
        return Result(Outcome.NOT_HTTP)
    except httpcore2.NetworkError as error:
        # The library wraps what the encryption said.
        tls = isinstance(error.__cause__ or error.__context__, ssl.SSLError)
        return Result(Outcome.TLS_FAILED if tls else Outcome.UNREACHABLE)
    except OSError:
        return Result(Outcome.UNREACHABLE)


def _judged(response: httpcore2.Response) -> Result:
    status = response.status
    begins = _beginning(response)
    if _OK <= status < _REDIRECTS:
        return Result(Outcome.DELIVERED, status)
    if status == _GONE:
        outcome = Outcome.GONE
    else:
        outcome = Outcome.REDIRECTED if status < _REFUSALS else Outcome.REFUSED
    text = begins.decode("utf-8", "replace")
    # PostgreSQL keeps no NUL, and whoever reads the log wants no control characters.
    shown = "".join(one if one.isprintable() or one == "\n" else "�" for one in text)
    return Result(outcome, status, shown[:ANSWER_KEPT_CHARACTERS])


def _beginning(response: httpcore2.Response) -> bytes:
    """What may be read of the body. The status is known: a body that breaks off changes nothing."""
    read = bytearray()
    try:
        for part in response.iter_stream():
            read += part
            if len(read) >= ANSWER_BYTES_MAX:
                break
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        pass
    return bytes(read[:ANSWER_BYTES_MAX])


class _Checked(httpcore2.NetworkBackend):
    """Connects to the addresses that were judged, and ends everything at the deadline."""

    def __init__(self, network: Network, target: Target, deadline: float) -> None:
        self._network, self._target, self._deadline = network, target, deadline
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first of the host's addresses that answers."""
        if (host, port) != (self._target.host, self._target.port):
            raise _AddressRefusedError
        failed: Exception = httpcore2.ConnectError("no address")
        for address in self._addresses():
            left = min(_left(self._deadline), timeout or self._network.deadline_seconds)
            try:
                stream = self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except httpcore2.ConnectError as error:
                failed = error
            else:
                return _Timed(stream, self._deadline)
        raise failed

    def _addresses(self) -> Sequence[str]:
        if self._target.is_loopback:
            return [self._target.host]
        found = _within(
            _left(self._deadline),
            lambda: self._network.resolve(self._target.host, self._target.port),
        )
        # One of its addresses that is not public taints the name.
        if not all(map(self._network.is_allowed, found)):
            raise _AddressRefusedError
        return found


class _Timed(httpcore2.NetworkStream):
    """A connection whose every step ends at the deadline, so that no drip of bytes puts it off."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        stream = self._inner.start_tls(ssl_context, server_hostname, self._left(timeout))
        return _Timed(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        left = _left(self._deadline)
        return left if timeout is None else min(left, timeout)


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout
    return left


def _within(seconds: float, look_up: Callable[[], Sequence[str]]) -> Sequence[str]:
    """What ``look_up`` gives, if it does in time: the machine's resolver knows no time-out."""
    answers: queue.Queue[Sequence[str] | OSError] = queue.Queue(1)

    def answer() -> None:
        try:
            answers.put(look_up())
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(OSError("no name"))

    threading.Thread(target=answer, name="webhook-resolver", daemon=True).start()
    try:
        found = answers.get(timeout=seconds)
    except queue.Empty:
        raise httpcore2.ConnectTimeout from None
    if isinstance(found, OSError):
        raise httpcore2.ConnectError(str(found)) from found
    return found
