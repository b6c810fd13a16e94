"""What callers carry back to us and must not read: how much everybody writes is nobody's business.

Transactions are numbered for the whole database, and so are rows of some tables. Whoever saw such a
number twice would know how busy its competitors were meanwhile. A session that serves a caller is
given a veil, which hides them; what has none, as a command of the operator's, sees them.
"""

import base64
import binascii
from typing import Protocol

from sqlalchemy.orm import Session

#: Key of ``Session.info``.
_VEIL = "veil"


class Veil(Protocol):
    """Hides texts with a key that callers have not."""

    def hide(self, purpose: str, plain: str, *, alike: bool = False) -> str:
        """The text as one that says nothing; another one each time, unless ``alike``."""
        ...

    def reveal(self, purpose: str, hidden: str) -> str | None:
        """What was hidden for this purpose; None: nothing of ours."""
        ...

    def name(self, purpose: str, plain: str) -> str:
        """A name for the text that says nothing but whether two texts are the same."""
        ...


def put_on(session: Session, veil: Veil) -> None:
    """Hide from now on what the session's caller must not read."""
    session.info[_VEIL] = veil


def hide(session: Session, purpose: str, plain: str, *, alike: bool = False) -> str:
    """A text for a caller to carry back, of characters that addresses take.

    Another one each time: whether it has changed would tell, too. Where that tells nothing it may
    be ``alike``, so that the same page is the same answer.
    """
    veil = _of(session)
    if veil is not None:
        return veil.hide(purpose, plain, alike=alike)
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def reveal(session: Session, purpose: str, hidden: str) -> str | None:
    """What a caller carried back; None: nothing of ours."""
    veil = _of(session)
    if veil is not None:
        return veil.reveal(purpose, hidden)
    padded = hidden + "=" * (-len(hidden) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        return None


def name(session: Session, purpose: str, plain: str) -> str:
    """A name for a text, the same each time."""
    veil = _of(session)
    return plain if veil is None else veil.name(purpose, plain)


def _of(session: Session) -> Veil | None:
    veil: Veil | None = session.info.get(_VEIL)
    return veil
