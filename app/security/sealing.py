"""Seals small secrets that must be read again, so that a copy of the database gives none away.

AES-256-GCM with the installation's key, which lies outside the database. What is sealed is bound to
a purpose, which names the kind of secret and the row it belongs to: moved to another row it does
not open. Several keys may be known: the first seals, all of them open, so that keys can change.
"""

import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.settings import TOO_OPEN, Settings

#: Below the home, where no other place is set.
KEY_FILE_NAME = "secret.keys"
_KEY_BYTES = 32
_ID_BYTES = 4
_NONCE_BYTES = 12
#: First byte of what is sealed, should the cipher ever change.
_FORMAT = b"\x01"
#: 32 random bytes have about 30 different values; a key that somebody typed has few.
_DIFFERENT_BYTES_MIN = 16


class SecretKeyError(Exception):
    """The installation's key cannot be used: one sentence why, and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        """``remedy`` is a line to type, or a thing to change."""
        super().__init__(message)
        self.remedy = remedy


class SealBrokenError(Exception):
    """What was to be opened was sealed with another key or for another purpose, or was changed."""


class Sealer:
    """Seals and opens with the installation's keys, which are read when first needed."""

    def __init__(self, read_keys: Callable[[], Mapping[str, bytes]]) -> None:
        """``read_keys`` gives keys of 32 bytes by id (8 hex digits), the one that seals first."""
        self._read_keys = read_keys

    @classmethod
    def of(cls, settings: Settings) -> "Sealer":
        """The sealer of an installation."""
        return cls(lambda: read_keys(settings))

    def check(self) -> None:
        """Read the keys now.

        Raises:
            SecretKeyError: they are missing, readable by others, or not random.
        """
        _ = self._ciphers

    @cached_property
    def _keys(self) -> dict[bytes, bytes]:
        return {bytes.fromhex(name): key for name, key in self._read_keys().items()}

    @cached_property
    def _ciphers(self) -> dict[bytes, AESGCM]:
        return {key_id: AESGCM(key) for key_id, key in self._keys.items()}

    def indexes(self, purpose: str, plaintext: bytes) -> list[bytes]:
        """Keyed hashes by which a value that is sealed can be found, with each key in turn.

        Write the first, look for any. Whoever has not the keys learns which values of a purpose
        are equal, and cannot try values out.
        """
        return [
            hmac.digest(
                hmac.digest(key, b"index:" + purpose.encode(), "sha256"), plaintext, "sha256"
            )
            for key in self._keys.values()
        ]

    def seal(self, purpose: str, plaintext: bytes, *, nonce: bytes | None = None) -> bytes:
        """Seal ``plaintext``: the format's byte, the key's id, a nonce, the cipher text.

        A ``nonce`` of the caller's must never come with two texts.
        """
        key_id, cipher = next(iter(self._ciphers.items()))
        nonce = nonce or secrets.token_bytes(_NONCE_BYTES)
        head = _FORMAT + key_id
        return head + nonce + cipher.encrypt(nonce, plaintext, head + purpose.encode())

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """What was sealed for ``purpose``.

        Raises:
            SealBrokenError: another key, another purpose, or changed since.
        """
        head, rest = sealed[: 1 + _ID_BYTES], sealed[1 + _ID_BYTES :]
        cipher = self._ciphers.get(head[1:])
        if head[:1] != _FORMAT or cipher is None:
            raise SealBrokenError(f"sealed with the key {head[1:].hex()}, which is not known here")
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], head + purpose.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError("changed since, or sealed for another purpose") from error

    def anew(self, purpose: str, sealed: bytes | None) -> bytes | None:
        """The same, sealed with the key that seals today; what is so already is returned as it is.

        Raises:
            SealBrokenError: another key, another purpose, or changed since.
        """
        if sealed is None or self.is_current(sealed):
            return sealed
        return self.seal(purpose, self.open(purpose, sealed))

    def hide(self, purpose: str, plain: str, *, alike: bool = False) -> str:
        """A text for callers to carry back to us, which they cannot read.

        Another one each time; with ``alike`` the same of the same text.
        """
        purpose, plaintext = f"hidden:{purpose}", plain.encode()
        # Of different texts different nonces, which is what the cipher asks for.
        nonce = self.indexes(f"nonce:{purpose}", plaintext)[0][:_NONCE_BYTES] if alike else None
        sealed = self.seal(purpose, plaintext, nonce=nonce)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def reveal(self, purpose: str, hidden: str) -> str | None:
        """What was hidden for this purpose; None: nothing of ours, or of a key that is gone."""
        padded = hidden + "=" * (-len(hidden) % 4)
        try:
            sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
            return self.open(f"hidden:{purpose}", sealed).decode()
        except (SealBrokenError, ValueError):
            return None

    def name(self, purpose: str, plain: str) -> str:
        """A name for a text, the same each time: whoever has not the keys cannot try texts out."""
        return self.indexes(f"name:{purpose}", plain.encode())[0].hex()[:32]

    def is_current(self, sealed: bytes) -> bool:
        """Whether the key that seals today sealed this; else it should be sealed anew."""
        return sealed[1 : 1 + _ID_BYTES] == next(iter(self._ciphers))


def new_key_line() -> str:
    """A new random key as a line of a key file: its id, a colon, 32 bytes in base64url."""
    key = base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    return f"{secrets.token_hex(_ID_BYTES)}:{key}"


def read_keys(settings: Settings) -> dict[str, bytes]:
    """The installation's keys by id.

    They are taken from the environment, else from the file that is set, else from the file below
    the home, which is made where there is none.

    Raises:
        SecretKeyError: there is none where one should be, others may read it, or it is not random.
    """
    if settings.secret_key is not None:
        return _parsed(settings.secret_key.get_secret_value(), "SPACE_RELAY_SECRET_KEY")
    path = settings.secret_key_file
    if path is None:
        path = settings.home / KEY_FILE_NAME
        try:
            _make_unless_there(path)
        except OSError as error:
            raise SecretKeyError(
                f"The key file {path} cannot be made: {error.strerror}.",
                "set SPACE_RELAY_SECRET_KEY_FILE or SPACE_RELAY_SECRET_KEY"
                " to what `space-relay secret-key` prints",
            ) from error
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretKeyError(
            f"The key file {path} cannot be read.", "space-relay secret-key > FILE"
        ) from error
    if mode & TOO_OPEN:
        raise SecretKeyError(f"Others may read the key file {path}.", f"chmod 600 {path}")
    return _parsed(text, str(path))


def _parsed(text: str, where: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for line in text.replace(",", "\n").split():
        name, _, encoded = line.partition(":")
        key_id = key = b""
        with suppress(binascii.Error, ValueError):
            key_id = bytes.fromhex(name)
            key = base64.b64decode(encoded, altchars=b"-_", validate=True)
        is_random = len(key) == _KEY_BYTES and len(set(key)) >= _DIFFERENT_BYTES_MIN
        if len(key_id) != _ID_BYTES or not is_random or name in keys:
            raise SecretKeyError(
                f"{where} holds something that is no random key of ours.",
                "space-relay secret-key  # prints a line to put there",
            )
        keys[name] = key
    if not keys:
        raise SecretKeyError(
            f"{where} holds no key.", "space-relay secret-key  # prints a line to put there"
        )
    return keys


def _make_unless_there(path: Path) -> None:
    """Make the file whole or not at all, also when several processes start at once."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(new_key_line() + "\n")
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
