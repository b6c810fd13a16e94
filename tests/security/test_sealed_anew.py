"""After the key has changed, all that is kept sealed is sealed anew, and still opens."""

from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import LargeBinary, insert, select
from sqlalchemy.orm import Session

from app.cli import SEALED
from app.contacts import people
from app.contacts.schemas import ContactIn
from app.models.contact import Contact
from app.models.registry import metadata
from app.models.staff import StaffAccount
from app.onboarding import applications
from app.onboarding.schemas import ApplicationIn
from app.security.oauth import signing
from app.security.rows import system
from app.security.sealing import Sealer
from app.security.staff import second_factor
from app.security.staff.accounts import COMMAND_LINE
from app.security.staff.second_factor import Digest, OneTimeSecret
from app.webhooks import signing as webhooks
from tests import factories as make

NOW = datetime(2027, 1, 1, tzinfo=UTC)
OLD, NEW = {"00000001": bytes(range(32))}, {"00000002": bytes(range(1, 33))}
#: Of the columns of bytes those that hold what is sealed, as opposed to hashes.
COLUMNS = [
    column
    for table in metadata.sorted_tables
    for column in table.columns
    if isinstance(column.type, LargeBinary)
    and (column.name.endswith("_sealed") or column.name in {"totp_secret", "totp_pending"})
]


def _fill(session: Session, sealer: Sealer) -> None:
    """A row of everything that is kept sealed."""
    company_id = make.make_company(session).id
    person = {
        "name": "示例联系人",
        "phone": "+86 138 0000 0001",
        "email": "contact01@example.invalid",
        "role": "site_search",
        "purpose": "matching",
        "consent": {"given_at": "2026-11-01T09:00:00+08:00", "form": "written"},
    }
    body = ContactIn.model_validate(person)
    people.create(session, sealer, COMMAND_LINE, company_id, body=body, now=NOW)
    example = ApplicationIn.model_json_schema()["examples"][0]
    applications.apply(session, sealer, ApplicationIn.model_validate(example), now=NOW)
    make.staff_headers(session)
    account = session.scalars(select(StaffAccount)).one()
    account.totp_secret, account.totp_pending = (
        second_factor.sealed(sealer, account.id, OneTimeSecret.new(Digest.SHA256)) for _ in range(2)
    )
    account.totp_pending_until = NOW
    signing.signer(session, sealer, NOW)
    endpoint_id = uuid4()
    secret = sealer.seal(webhooks.purpose(endpoint_id), b"secret")
    session.execute(
        insert(metadata.tables["webhook_endpoints"]).values(
            id=endpoint_id,
            company_id=company_id,
            url="https://hooks.example.com/",
            label="tests",
            events=["hold.placed"],
            enabled=True,
            secret_sealed=secret,
            previous_sealed=secret,
            previous_until=NOW,
            created_at=NOW,
            created_by="tests",
        )
    )
    session.flush()


def _kept(session: Session) -> dict[str, bytes]:
    return {
        str(column): session.scalars(select(column).where(column.is_not(None))).one()
        for column in COLUMNS
    }


def test_all_that_is_sealed_gets_the_new_key_and_opens_without_the_old_one(
    session: Session,
) -> None:
    system(session)
    old, both, new = Sealer(lambda: OLD), Sealer(lambda: NEW | OLD), Sealer(lambda: NEW)
    _fill(session, old)
    before = _kept(session)
    assert not any(new.is_current(value) for value in before.values())

    counts = {what: seal(session, both) for what, seal in SEALED.items()}

    assert set(counts.values()) == {1}
    assert all(new.is_current(value) for value in _kept(session).values())
    # A second time there is nothing to do; and the old key may go.
    assert {seal(session, new) for seal in SEALED.values()} == {0}
    contact = session.scalars(select(Contact)).one()
    shown = people.get(session, new, COMMAND_LINE, contact.id)
    assert shown.phone_masked == "138****0001"
    assert contact.email_index == new.indexes("contact email", b"contact01@example.invalid")[0]
    assert signing.signer(session, new, NOW).kid == signing.signer(session, both, NOW).kid
