"""Writes down who did, saw or decided what, in the chain of the park that it is about."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.kernel.canonical import canonical
from app.security.actors import Actor
from app.security.audit.actions import Action

#: What acts without a person or a firm: jobs and the command line.
SYSTEM = "system"
_APPEND = text(
    "SELECT audit_append(CAST(:park AS uuid), :actor, :kind, CAST(:account AS uuid),"
    " CAST(:company AS uuid), :action, :type, :subject, :reason, :details, :request)"
)
_ACTIONS = frozenset(action.value for action in Action)


def record(
    session: Session,
    actor: Actor | str,
    action: str,
    *,
    park_id: UUID | None,
    subject_type: str,
    subject_id: UUID | str | None,
    company_id: UUID | None = None,
    details: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Add an entry to a park's chain (None: the house's), in the transaction that does the work.

    Call it last: it takes the chain's lock, which everyone who writes in that park waits for, and
    keeps it until the transaction ends. Of several chains take the house's first, then parks in
    the order of their ids.

    Args:
        session: where the work is done.
        actor: who does it; a text for jobs and the command line, as ``worker`` or ``cli``.
        action: a value of ``Action``.
        park_id: whose chain; None for what concerns no one park.
        subject_type: what kind of thing it was done to, as ``lease``.
        subject_id: which one.
        company_id: the firm concerned, which may read the entry; a firm's own unless told.
        details: JSON values. No personal data: entries are kept for ever.
        reason: as whoever did it gave it.

    Raises:
        ValueError: no such action is declared.
    """
    if action not in _ACTIONS:
        raise ValueError(f"{action} is not declared in actions.py")
    known = actor if isinstance(actor, Actor) else None
    session.flush()
    session.execute(
        _APPEND,
        {
            "park": park_id,
            "actor": known.label if known else actor,
            "kind": known.kind.value if known else SYSTEM,
            "account": known and known.account_id,
            "company": company_id or (known and known.company_id),
            "action": action,
            "type": subject_type,
            "subject": None if subject_id is None else str(subject_id),
            "reason": reason,
            "details": canonical(details or {}).decode(),
            "request": _request_id(),
        },
    )


def _request_id() -> str | None:
    """The id of the call; one of the caller's own choice says so, as it may be anybody's."""
    told = structlog.contextvars.get_contextvars()
    given = told.get("request_id")
    return f"caller:{given}" if given and told.get("request_id_by") == "caller" else given
