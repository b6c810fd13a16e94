"""Secrets that are none: which of an installation's settings anybody could guess."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

from app.settings import Settings, variable

_LENGTH_MIN = 12
#: A text of random characters has more; ``aaaaaaaaaaaa`` has one.
_DIFFERENT_MIN = 6
#: What examples, images and people in a hurry use, longer than the shortest that would do.
_KNOWN = frozenset(
    {
        *("changeme", "change-me", "change_me", "default", "example", "password", "postgres"),
        *("postgresql", "qwertyuiop", "secret", "space-relay", "space_relay", "test"),
    }
)
_REMEDY = "python3 -c 'import secrets; print(secrets.token_urlsafe(24))'"


class Weak(NamedTuple):
    """A setting whose secret anybody could guess; never the secret itself."""

    setting: str
    why: str
    remedy: str = _REMEDY


def weak_secrets(settings: Settings) -> list[Weak]:
    """The settings that a service must not start with.

    A database URL without a password is none: then the server asks for something else, or is asked
    through a socket of this machine.
    """
    found = []
    for name in ("database_url", "public_database_url"):
        url: SecretStr | None = getattr(settings, name)
        for user, password in _passwords(url):
            why = _why_weak(password, user)
            if why is not None:
                found.append(Weak(variable(name), f"its password {why}"))
    alone = {"oidc_client_secret": settings.oidc_client_id, "metrics_token": ""}
    for name, user in alone.items():
        secret: SecretStr | None = getattr(settings, name)
        why = None if secret is None else _why_weak(secret.get_secret_value(), user)
        if why is not None:
            found.append(Weak(variable(name), f"the secret {why}"))
    return found


def _passwords(url: SecretStr | None) -> Iterator[tuple[str, str]]:
    """User and password of a database URL, where it has them."""
    if url is None:
        return
    try:
        parts = urlsplit(url.get_secret_value())
        query = parse_qs(parts.query)
    except ValueError:  # whoever connects says what is wrong with it
        return
    user = unquote(parts.username or "")
    if parts.password is not None:
        yield user, unquote(parts.password)
    for given in query.get("password", []):
        yield user, given


def _why_weak(secret: str, user: str) -> str | None:
    plain = secret.strip().casefold()
    without_digits = plain.rstrip("0123456789!.#$@-_")
    if {plain, without_digits} & _KNOWN or plain == user.casefold():
        return "is one that everybody knows"
    if len(plain) < _LENGTH_MIN:
        return f"has fewer than {_LENGTH_MIN} characters"
    if len(set(plain)) < _DIFFERENT_MIN:
        return "repeats a few characters"
    return None
