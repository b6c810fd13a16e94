"""Sending cannot be led astray: not by a resolver, a redirect, a proxy, a slow or a big answer."""

import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpcore2
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.webhooks.addresses import Target
from app.webhooks.transport import Network, Outcome, post
from tests.webhooks.receivers import Behaviour, Rebinding, answer, listening, receiving

NAME = "receiver.test"
PUBLIC, OWN = "93.184.215.14", "127.0.0.1"
NETWORK = Network(deadline_seconds=0.5)


def _https(port: int = 443, host: str = NAME) -> Target:
    return Target("https", host, port, "/hook")


def _local(port: int) -> Target:
    return Target("http", OWN, port, "/hook")


# ---- where it connects to ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "addresses",
    [
        [OWN],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["169.254.169.254"],
        ["100.100.100.200"],
        [PUBLIC, OWN],
    ],
)
def test_a_name_with_an_address_inside_is_refused_before_any_connection(
    addresses: list[str],
) -> None:
    with listening() as listener:
        result = post(
            replace(NETWORK, resolve=Rebinding(addresses)), _https(listener.port), {}, b"{}"
        )

        assert result.outcome is Outcome.ADDRESS_REFUSED
        assert listener.connections == 0


def test_a_resolver_that_changes_its_mind_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rebinding = Rebinding([PUBLIC], [OWN])
    connected: list[str] = []

    def dial(_self: object, host: str, *_: Any, **__: Any) -> Any:
        connected.append(host)
        raise httpcore2.ConnectError("nobody there")

    monkeypatch.setattr("httpcore2.SyncBackend.connect_tcp", dial)
    with listening() as listener:
        result = post(replace(NETWORK, resolve=rebinding), _https(listener.port), {}, b"{}")

        assert result.outcome is Outcome.UNREACHABLE
        assert listener.connections == 0
    assert (connected, rebinding.asked) == ([PUBLIC], 1)


def test_who_checks_and_then_looks_up_again_is_led_inside() -> None:
    """The control arm: check first, then hand the name to a client as everybody does."""
    rebinding = Rebinding([PUBLIC], [OWN])
    with receiving(answer(200)) as inside:
        assert NETWORK.is_allowed(rebinding(NAME, 80)[0])

        (address,) = rebinding(NAME, 80)
        httpx2.post(f"http://{address}:{inside.port}/hook", content=b"{}")

        assert len(inside.got) == 1


def test_a_redirect_is_not_followed() -> None:
    with receiving(answer(200)) as inside:
        led = answer(307, Location=f"http://{OWN}:{inside.port}/secret")
        with receiving(led) as outside:
            result = post(NETWORK, _local(outside.port), {}, b"{}")
            assert (result.outcome, result.status) == (Outcome.REDIRECTED, 307)
            assert inside.got == []

            # The control arm follows it.
            httpx2.post(outside.url, content=b"{}", follow_redirects=True)
            assert len(inside.got) == 1


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(answer(200)) as proxy, receiving(answer(200)) as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://{OWN}:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)

        assert post(NETWORK, _local(receiver.port), {}, b"{}").outcome is Outcome.DELIVERED
        assert proxy.got == []

        # The control arm goes through it.
        httpx2.post(receiver.url, content=b"{}")
        assert len(proxy.got) == 1


# ---- how long, and how much ----------------------------------------------------------------------


def _drip(before: bytes) -> Behaviour:
    """Sends a byte now and then, for ever: each read by itself is quick enough."""

    def behave(handler: Any) -> None:
        handler.wfile.write(before)
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.1)

    return behave


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", Outcome.TIMED_OUT),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", Outcome.DELIVERED),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 100000\r\n\r\n", Outcome.REFUSED),
    ],
)
def test_a_drip_of_bytes_ends_at_the_deadline(before: bytes, expected: Outcome) -> None:
    with receiving(_drip(before)) as receiver:
        began = time.monotonic()
        result = post(NETWORK, _local(receiver.port), {}, b"{}")

        assert result.outcome is expected
        assert time.monotonic() - began < 1


def test_silence_ends_at_the_deadline() -> None:
    with receiving(lambda _handler: time.sleep(2)) as receiver:
        began = time.monotonic()
        assert post(NETWORK, _local(receiver.port), {}, b"{}").outcome is Outcome.TIMED_OUT
        assert time.monotonic() - began < 1


def test_a_resolver_that_hangs_ends_at_the_deadline() -> None:
    def hang(_host: str, _port: int) -> list[str]:
        time.sleep(1.5)
        return [PUBLIC]

    network = Network(resolve=hang, deadline_seconds=0.2)
    began = time.monotonic()

    assert post(network, _https(), {}, b"{}").outcome is Outcome.TIMED_OUT
    assert time.monotonic() - began < 1


def test_a_giant_answer_is_left_unread() -> None:
    sent = 0

    def pour(handler: Any) -> None:
        nonlocal sent
        handler.wfile.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            handler.wfile.write(b"secret " * 10_000)
            sent += 70_000

    with receiving(pour) as receiver:
        result = post(NETWORK, _local(receiver.port), {}, b"{}")

    assert (result.outcome, result.status) == (Outcome.REFUSED, 500)
    assert result.answer is not None
    assert len(result.answer) == 1_024
    assert sent < 20_000_000  # what the two kernels took in between


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"SSH-2.0-OpenSSH\r\n", Outcome.NOT_HTTP),
        (b"", Outcome.NOT_HTTP),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", Outcome.GONE),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Outcome.DELIVERED),
    ],
)
def test_what_is_answered_is_told_apart(said: bytes, expected: Outcome) -> None:
    def behave(handler: Any) -> None:
        handler.wfile.write(said)
        handler.close_connection = True

    with receiving(behave) as receiver:
        assert post(NETWORK, _local(receiver.port), {}, b"{}").outcome is expected


def test_what_is_kept_of_an_answer_is_plain_text() -> None:
    with receiving(answer(500, b"no\x00\x1b[31m \xff database")) as receiver:
        result = post(NETWORK, _local(receiver.port), {}, b"{}")

    assert result.answer is not None
    assert result.answer.replace("�", "?") == "no??[31m ? database"


def test_nobody_there_is_unreachable() -> None:
    with listening() as listener:
        port = listener.port

    assert post(NETWORK, _local(port), {}, b"{}").outcome is Outcome.UNREACHABLE


# ---- encryption ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for ``receiver.test``, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "receiver.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def _server_tls(certificate: Path, asked_for: list[str | None]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    return context


def _inside(tls: ssl.SSLContext) -> Network:
    """Lets a test's own machine pass for a public one."""
    return replace(NETWORK, tls=tls, resolve=Rebinding([OWN]), is_allowed=lambda _address: True)


def test_the_name_is_asked_for_at_the_address_that_was_checked(certificate: Path) -> None:
    asked_for: list[str | None] = []
    trusting = ssl.create_default_context(cafile=str(certificate))
    with receiving(answer(200), _server_tls(certificate, asked_for)) as receiver:
        result = post(_inside(trusting), _https(receiver.port), {}, b"{}")

        assert result.outcome is Outcome.DELIVERED
        assert receiver.got[0].headers["Host"] == NAME
    assert asked_for == [NAME]


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_for_another_name_or_of_nobody_is_refused(
    certificate: Path, *, trusted: bool
) -> None:
    tls = ssl.create_default_context(cafile=str(certificate)) if trusted else NETWORK.tls
    host = "another.test" if trusted else NAME
    with receiving(answer(200), _server_tls(certificate, [])) as receiver:
        result = post(_inside(tls), _https(receiver.port, host), {}, b"{}")

        assert result.outcome is Outcome.TLS_FAILED
        assert receiver.got == []
