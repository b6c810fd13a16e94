"""What is kept about people is erased when its time is over, on the day and not before."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session, sessionmaker

from app.contacts.retention import erase_past
from app.database.session import session_factory
from app.models.audit import AuditEntry
from app.models.company import SpaceRequest
from app.models.contact import Contact
from app.models.firm_access import Application
from tests.factories import add, credit_code, make_claim, make_company, make_unit, number

NOW = datetime(2026, 11, 23, 19, 11, tzinfo=UTC)
#: 24 calendar months, not 730 days.
CUTOFF = datetime(2024, 11, 23, 19, 11, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)
OLD = datetime(2020, 1, 1, tzinfo=UTC)
EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


def make_contact(session: Session, at: datetime = OLD, **values: Any) -> UUID:
    defaults: dict[str, Any] = {
        "company_id": values.pop("company_id", None) or make_company(session).id,
        "name_sealed": b"sealed",
        "phone_sealed": b"sealed",
        "phone_index": b"index",
        "role": "decides",
        "purpose": "matching",
        "consent_at": at,
        "consent_form": "written",
        "consent_from": "person",
        "created_at": at,
        "created_by": "tests",
        "updated_at": at,
        "updated_by": "tests",
    }
    made: Contact = add(session, Contact(**(defaults | values)))
    return made.id


def make_request(session: Session, company_id: UUID, at: datetime) -> None:
    add(
        session,
        SpaceRequest(
            company_id=company_id,
            unit_type="pilot",
            stated={},
            needs=[],
            rules_version="tests",
            state="withdrawn",
            created_at=OLD,
            updated_at=at,
        ),
    )


def make_application(session: Session, at: datetime, decided: datetime | None) -> UUID:
    made: Application = add(
        session,
        Application(
            company_name="示例（合成）",
            unified_social_credit_code=credit_code(number()),
            purpose="tests",
            contact_sealed=b"sealed",
            contact_masked="a***",
            status_secret_sha256=bytes(32),
            state="received" if decided is None else "refused",
            reason=None if decided is None else "tests",
            created_at=at,
            decided_at=decided,
            decided_by=None if decided is None else "tests",
        ),
    )
    return made.id


def make_all(session: Session) -> tuple[set[UUID], set[UUID]]:
    """What is past its time, and what is not."""
    asks, asked, lets, let, ended = (make_company(session).id for _ in range(5))
    make_request(session, asks, CUTOFF)
    make_request(session, asked, CUTOFF - A_SECOND)
    unit = make_unit(session, slots=4)
    others = [make_unit(session, slots=4) for _ in range(2)]
    make_claim(session, unit, date(2020, 1, 1), date(2024, 11, 26), company_id=lets)
    make_claim(session, others[0], date(2020, 1, 1), date(2024, 11, 24), company_id=let)
    # Ended early: the lease that it was before counts no more.
    early = {"company_id": ended, "live": Range(EARLY, LATE)}
    make_claim(session, others[1], date(2020, 1, 1), date(2030, 1, 1), **early)
    gone = {
        make_contact(session, CUTOFF - A_SECOND),
        make_contact(session, company_id=asked),
        make_contact(session, company_id=let),
        make_contact(session, company_id=ended),
        make_application(session, OLD, CUTOFF - A_SECOND),
        make_application(session, OLD, None),
    }
    kept = {
        make_contact(session, CUTOFF),
        make_contact(session, company_id=asks),
        make_contact(session, company_id=lets),
        make_application(session, OLD, CUTOFF),
        make_application(session, CUTOFF, None),
    }
    session.commit()
    return gone, kept


def erased_ids(session: Session) -> set[UUID]:
    return {
        *session.scalars(select(Contact.id).where(Contact.erased_at == NOW)),
        *session.scalars(select(Application.id).where(Application.contact_erased_at == NOW)),
    }


@pytest.fixture
def sessions(own_engine: Engine) -> sessionmaker[Session]:
    return session_factory(own_engine)


def test_what_is_past_is_erased_and_what_is_not_is_kept(
    sessions: Callable[[], Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    with sessions() as session:
        gone, kept = make_all(session)
    monkeypatch.setattr("app.contacts.retention._AT_ONCE", 2)

    assert erase_past(sessions, months=24, now=NOW) == len(gone)
    assert erase_past(sessions, months=24, now=NOW) == 0

    with sessions() as session:
        assert erased_ids(session) == gone
        entries = session.scalars(select(AuditEntry)).all()
        assert {UUID(entry.subject_id or "") for entry in entries} == gone
        assert {entry.actor for entry in entries} == {"worker"}
        assert {entry.action for entry in entries} == {"contact.expired", "applicant.expired"}
        living = session.scalars(select(Contact).where(Contact.id.in_(kept))).all()
        assert {one.name_sealed for one in living} == {b"sealed"}


def test_what_could_not_be_written_down_is_not_erased(
    sessions: Callable[[], Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    with sessions() as session:
        make_all(session)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no room for an entry")

    monkeypatch.setattr("app.contacts.retention.record", fails)
    with pytest.raises(RuntimeError, match="no room"):
        erase_past(sessions, months=24, now=NOW)
    with sessions() as session:
        assert erased_ids(session) == set()
