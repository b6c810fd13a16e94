"""What is kept of a secret that was drawn at random: enough to know it again."""

import hashlib


def digest_of(secret: str) -> bytes:
    """SHA-256 of a secret that is too long to be guessed, which no password is."""
    return hashlib.sha256(secret.encode()).digest()
