"""Certificates by which the parts of an installation know each other, in place of passwords.

An authority is made, signs one certificate for the database's server and one for each of its
logins, and its key is forgotten: nobody can sign another. So all are made anew together.
"""

import ipaddress
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: The database's logins: the certificate's name is the login's, which the server compares.
LOGINS = ("migrator", "server", "worker", "visitor")
#: The folder of the database's server.
DATABASE = "database"
#: What is in each folder, and in the database's besides.
AUTHORITY, CERTIFICATE, KEY, PASSWORD = "authority.pem", "certificate.pem", "key.pem", "password"

_PRIVATE, _PUBLIC = 0o600, 0o644
#: Clocks of the parts may be off.
_BEFORE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ends_at(folder: Path) -> datetime | None:
    """When the certificates in a folder end; None: there are not all of them."""
    kept = [folder / name / CERTIFICATE for name in (DATABASE, *LOGINS)]
    if not all(path.is_file() for path in kept):
        return None
    read = (x509.load_pem_x509_certificate(path.read_bytes()) for path in kept)
    return min(one.not_valid_after_utc for one in read)


def make_certificates(
    folder: Path, host: str, lasts: timedelta, now: datetime, owners: Mapping[str, int]
) -> None:
    """Make an authority and all certificates anew, each part's in a folder of its own.

    Args:
        folder: where the parts' folders are, or are made.
        host: the name by which the others reach the database.
        lasts: how long they are good.
        now: the present instant.
        owners: the user id that a part runs as, by the folder's name; of others it is left as is.
    """
    authority = _signed("Space Relay", None, lasts, now)
    for name in (DATABASE, *LOGINS):
        part = folder / name
        part.mkdir(mode=0o755, exist_ok=True)
        made = _signed(host if name == DATABASE else name, authority, lasts, now)
        owner = owners.get(name, -1)
        _write(part / AUTHORITY, _pem(authority.certificate), _PUBLIC, owner)
        _write(part / CERTIFICATE, _pem(made.certificate), _PUBLIC, owner)
        _write(part / KEY, _key_pem(made.key), _PRIVATE, owner)
    # The image of the database asks for one to begin with; no rule lets anybody in by it.
    password = folder / DATABASE / PASSWORD
    _write(password, secrets.token_urlsafe(32).encode(), _PRIVATE, owners.get(DATABASE, -1))


def _signed(name: str, by: _Signed | None, lasts: timedelta, now: datetime) -> _Signed:
    """A certificate of an authority, or one that is signed by it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + lasts)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if by is not None:
        is_login = name in LOGINS
        use = ExtendedKeyUsageOID.CLIENT_AUTH if is_login else ExtendedKeyUsageOID.SERVER_AUTH
        built = built.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if not is_login:
            built = built.add_extension(
                x509.SubjectAlternativeName([_general(name)]), critical=False
            )
    return _Signed(built.sign(key if by is None else by.key, hashes.SHA256()), key)


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes, mode: int, owner: int) -> None:
    """Put a file in place at once, never readable by others on the way."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        if owner >= 0:
            os.fchown(descriptor, owner, -1)
    beside.replace(path)
