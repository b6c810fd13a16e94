"""Which calls are written into the audit trail, and as what: one row for every unsafe operation.

``Writer`` reads the row of the operation it serves and records it in the transaction of the work,
so that no write can be added and forgotten: an operation without a row fails, and a test says so
before it is ever called. Only what was done is recorded; a refused call leaves a line in the log.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.database.session import Session
from app.ledger.approvals.listing import ApprovalOut
from app.ledger.approvals.terms import ApprovalState
from app.security.actors import Actor
from app.security.audit.actions import Action
from app.security.audit.parks import parks_of_units
from app.security.audit.trail import record

#: The parks whose chains an answer belongs in; None is the house's.
Parks = Callable[[Session, Any], Collection[UUID | None]]


@dataclass(frozen=True, slots=True)
class Audited:
    """How a call is written down.

    Attributes:
        action: what was done.
        subject_type: what kind of thing it was done to.
        parks: whose chains it belongs in, from the answer.
        subject: the path parameter that names the thing; None: the answer's ``id``.
        says: members of the body that the entry repeats. Nothing that a person could be told by.
        shows: members of the answer, likewise.
        personal: the body has personal data, of which entries keep not even a hash: whoever
            guesses a phone number could try it out.
    """

    action: Action
    subject_type: str
    parks: Parks
    subject: str | None = None
    says: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    personal: bool = False


@dataclass(frozen=True, slots=True)
class NotAudited:
    """Why the writer records nothing of a call."""

    why: str


@dataclass(frozen=True, slots=True)
class Call:
    """What the trail needs to know of a call besides its answer.

    Attributes:
        operation: the operation id, as in the OpenAPI document.
        actor: who calls.
        path: the parameters in the path.
        body: the bytes as they were sent; JSON, or empty.
        also: what is to be said of it besides, such as the approval it follows from.
    """

    operation: str
    actor: Actor
    path: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""
    also: Mapping[str, Any] = field(default_factory=dict)


def _house(_session: Session, _made: Any) -> Collection[UUID | None]:
    return [None]


def _of_claims(_session: Session, made: Any) -> Collection[UUID | None]:
    return {line.park_id for line in made.claims}


def _of_entry(_session: Session, made: Any) -> Collection[UUID | None]:
    return {unit.park_id for unit in made.units}


def _of_units(session: Session, made: Any) -> Collection[UUID | None]:
    return parks_of_units(session, [unit.id for unit in made.units if unit.id is not None])


def _own(_session: Session, made: Any) -> Collection[UUID | None]:
    return [made.park_id]


def _of_policy(_session: Session, made: Any) -> Collection[UUID | None]:
    return [None if made.park is None else made.park.id]


_ORDER = ("units", "from", "until", "space_request_id", "accepting")
_UNIT_EVENT = ("effective_on", "until")
_DRAWN = ("collection", "code", "trimmed_m2")
_APPROVAL = ("decision", "subject_type", "subject_id")
#: A call that a second person has to approve does nothing but ask.
_ASKED = Audited(Action.APPROVAL_ASKED, "approval", _own, shows=_APPROVAL)

AUDITED: Mapping[str, Audited | NotAudited] = {
    "create_hold": Audited(
        Action.HOLD_PLACED, "hold", _of_claims, says=_ORDER, shows=("expires_at",)
    ),
    "confirm_hold": Audited(Action.HOLD_CONFIRMED, "hold", _of_claims),
    "extend_hold": Audited(Action.HOLD_EXTENDED, "hold", _of_claims, shows=("expires_at",)),
    "release_hold": Audited(Action.HOLD_RELEASED, "hold", _of_claims),
    "join_queue": Audited(Action.QUEUE_JOINED, "queue_entry", _of_entry, says=_ORDER),
    "leave_queue": Audited(Action.QUEUE_LEFT, "queue_entry", _of_entry),
    "create_lease": Audited(Action.LEASE_SIGNED, "lease", _of_claims, says=_ORDER),
    "terminate_lease": Audited(Action.LEASE_TERMINATED, "lease", _of_claims, says=("on", "by")),
    "extend_lease": Audited(Action.LEASE_EXTENDED, "lease", _of_claims, says=("until",)),
    "hand_lease_over": Audited(Action.LEASE_HANDED_OVER, "lease", _of_claims, says=("on",)),
    "hand_lease_back": Audited(
        Action.LEASE_HANDED_BACK, "lease", _of_claims, says=("on", "clearing_days")
    ),
    "record_cleared": Audited(Action.LEASE_CLEARED, "lease", _of_claims, says=("on",)),
    "record_lease_terms": Audited(Action.LEASE_TERMS_SET, "lease", _of_claims),
    "create_works": Audited(
        Action.WORKS_STARTED, "works", _of_claims, says=("units", "from", "until", "kind")
    ),
    "end_works": Audited(Action.WORKS_ENDED, "works", _of_claims, says=("on",)),
    "grant_right": Audited(Action.RIGHT_GRANTED, "right", _own, says=("kind", "from", "until")),
    "end_right": Audited(Action.RIGHT_ENDED, "right", _own),
    "ask_holder": Audited(Action.RIGHT_ASKED, "right", _own, says=("from", "until")),
    "answer_notice": Audited(Action.RIGHT_ANSWERED, "right", _own, says=("answer",)),
    "record_waiver": Audited(Action.RIGHT_WAIVED, "right", _own, says=("from", "until")),
    "change_unit_terms": Audited(
        Action.UNIT_TERMS_CHANGED, "unit", _of_units, says=(*_UNIT_EVENT, "changes")
    ),
    "remeasure_unit": Audited(
        Action.UNIT_REMEASURED,
        "unit",
        _of_units,
        says=(*_UNIT_EVENT, "leasable_area_m2", "internal_area_m2"),
    ),
    "split": Audited(Action.UNIT_SPLIT, "unit", _of_units, says=_UNIT_EVENT),
    "merge": Audited(Action.UNITS_MERGED, "unit", _of_units, says=(*_UNIT_EVENT, "units", "code")),
    "create_ogc_item": Audited(Action.FEATURE_DRAWN, "feature", _own, shows=_DRAWN),
    "replace_ogc_item": Audited(Action.FEATURE_CHANGED, "feature", _own, shows=_DRAWN),
    "change_ogc_item": Audited(Action.FEATURE_CHANGED, "feature", _own, shows=_DRAWN),
    "delete_ogc_item": Audited(Action.FEATURE_REMOVED, "feature", _own, shows=_DRAWN),
    "restore_former_feature": Audited(Action.FEATURE_RESTORED, "feature", _own, shows=_DRAWN),
    "set_house_policy": Audited(Action.MATCH_POLICY_SET, "match_policy", _of_policy),
    "set_park_policy": Audited(Action.MATCH_POLICY_SET, "match_policy", _of_policy),
    "create_company": Audited(Action.COMPANY_ADDED, "company", _house),
    "create_asset": Audited(Action.PIPELINE_ASSET_ADDED, "pipeline_asset", _house),
    "add_stage": Audited(Action.PIPELINE_ASSET_MOVED, "pipeline_asset", _house, subject="asset_id"),
    "create_request": Audited(Action.REQUEST_FILED, "space_request", _house),
    "replace_needs": Audited(Action.REQUEST_CHANGED, "space_request", _house),
    "withdraw_request": Audited(Action.REQUEST_WITHDRAWN, "space_request", _house),
    "reopen_request": Audited(Action.REQUEST_REOPENED, "space_request", _house),
    "approve_approval": Audited(Action.APPROVAL_APPROVED, "approval", _own, shows=_APPROVAL),
    "refuse_approval": Audited(Action.APPROVAL_REFUSED, "approval", _own, shows=_APPROVAL),
    "issue_key": Audited(
        Action.CREDENTIAL_ISSUED, "key", _house, shows=("client_id", "scopes", "expires_at")
    ),
    "rotate_key": Audited(
        Action.KEY_ROTATED, "key", _house, shows=("client_id", "previous_until", "expires_at")
    ),
    "revoke_key": Audited(Action.CREDENTIAL_REVOKED, "key", _house, shows=("client_id",)),
    "approve_application": Audited(
        Action.APPLICATION_APPROVED,
        "application",
        _house,
        subject="application_id",
        shows=("linked", "scopes", "expires_at"),
    ),
    "refuse_application": Audited(Action.APPLICATION_REFUSED, "application", _house),
    "invite_company": Audited(
        Action.INVITATION_MADE, "invitation", _house, shows=("scopes", "expires_at")
    ),
    "revoke_invitation": Audited(Action.INVITATION_REVOKED, "invitation", _house),
    "create_contact": Audited(
        Action.CONTACT_ADDED, "contact", _house, shows=("role", "purpose"), personal=True
    ),
    "correct_contact": Audited(
        Action.CONTACT_CORRECTED, "contact", _house, shows=("version",), personal=True
    ),
    "erase_contact": Audited(Action.CONTACT_ERASED, "contact", _house),
    **dict.fromkeys(
        ("reveal_contact", "search_contacts", "export_personal_data"),
        NotAudited("app/contacts records it; a kept answer would keep what was shown"),
    ),
    "issue_sandbox_key": Audited(
        Action.SANDBOX_KEY_ISSUED, "sandbox_key", _house, shows=("client_id", "expires_at")
    ),
    "reset_sandbox": NotAudited("nothing that is real; the trail of the sandbox begins anew too"),
    "accept_invitation": NotAudited("nobody is signed in; the room records who was let in"),
    "reveal_applicant": NotAudited("the room records it; a kept answer would keep the address"),
    "apply": NotAudited("nobody is signed in; the application is its own record"),
    "grant_access_token": NotAudited("lives minutes; the key notes that it was used"),
    "create_webhook_endpoint": Audited(
        Action.WEBHOOK_ADDED, "webhook_endpoint", _house, says=("url", "events")
    ),
    "change_webhook_endpoint": Audited(
        Action.WEBHOOK_CHANGED, "webhook_endpoint", _house, says=("url", "events", "enabled")
    ),
    "delete_webhook_endpoint": Audited(Action.WEBHOOK_DELETED, "webhook_endpoint", _house),
    "rotate_webhook_secret": Audited(
        Action.WEBHOOK_SECRET_ROTATED, "webhook_endpoint", _house, says=("overlap_hours",)
    ),
    "try_webhook_endpoint": Audited(
        Action.WEBHOOK_TESTED, "webhook_endpoint", _house, subject="endpoint_id"
    ),
    "replay_webhook_events": Audited(
        Action.WEBHOOK_REPLAYED, "webhook_endpoint", _house, says=("event_id", "since")
    ),
    "match": NotAudited("every answer is kept as a receipt, which says who asked"),
    "replay_match_receipt": NotAudited("writes nothing"),
    "check_offer": NotAudited("writes nothing"),
    "search_free_space": NotAudited("writes nothing"),
    **dict.fromkeys(
        (
            *("create_session", "delete_session", "change_password", "start_second_factor"),
            *("confirm_second_factor", "renew_recovery_codes", "accept_staff_invitation"),
            *("invite_staff", "invite_staff_again", "change_staff", "reset_second_factor"),
            *("end_staff_sessions", "end_staff_session"),
        ),
        NotAudited("app/security/staff records it, refused attempts to sign in too"),
    ),
}


def note(session: Session, call: Call, made: Any) -> None:
    """Record a call that was done, in the transaction that did it; last, for its locks.

    ``made`` is the answer. A rehearsal leaves no entry.

    Raises:
        KeyError: the operation has no row in ``AUDITED``.
    """
    waits = isinstance(made, ApprovalOut) and made.state is ApprovalState.PENDING
    row = _ASKED if waits else AUDITED[call.operation]
    body = json.loads(call.body) if call.body else None
    said: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    if isinstance(row, NotAudited) or said.get("dry_run"):
        return
    details = {name: said[name] for name in row.says if said.get(name) is not None}
    if "url" in details:
        # Receivers are told apart by secrets in the query; entries are kept for ever.
        details["url"] = details["url"].partition("?")[0]
    details |= call.also
    if row.shows:
        details |= made.model_dump(mode="json", include=set(row.shows))
    if call.body and not row.personal:
        details["body_sha256"] = hashlib.sha256(call.body).hexdigest()
    reason = said.get("reason")
    company_id = getattr(made, "company_id", None) or call.path.get("company_id")
    subject_id = _subject(row, call, made)
    for park_id in sorted(row.parks(session, made), key=_chain_order):
        record(
            session,
            call.actor,
            row.action,
            park_id=park_id,
            subject_type=row.subject_type,
            subject_id=subject_id,
            company_id=subject_id if row.subject_type == "company" else company_id,
            details=details,
            reason=reason if isinstance(reason, str) else None,
        )


def _subject(row: Audited, call: Call, made: Any) -> Any:
    if row.subject is not None:
        return call.path[row.subject]
    if row.subject_type == "unit":
        # Of a split the unit it was, of a merger the unit it became.
        part = "child" if row.action is Action.UNITS_MERGED else "parent"
        return next(unit.id for unit in made.units if unit.part in {part, "subject"})
    return getattr(made, "id", None)


def _chain_order(park_id: UUID | None) -> str:
    return "" if park_id is None else str(park_id)
