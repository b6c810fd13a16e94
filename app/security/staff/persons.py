"""Whether two accounts are two persons' (双人).

One person to whom several accounts were given is known by the employer's number (工号) on them.
Whoever invites somebody, invites anew or takes a second factor off, may have used what he gave
away: for a while both accounts may be in one hand. So may two accounts that one person gave out.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import CTE, Uuid, exists, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models.staff import CredentialGift, StaffAccount


def note_gift(session: Session, account: StaffAccount, giver: UUID, now: datetime) -> None:
    """Write down that ``giver`` gave the account's owner a way to sign in."""
    session.execute(
        insert(CredentialGift)
        .values(account_id=account.id, given_by=giver, given_at=now)
        .on_conflict_do_update(
            index_elements=[CredentialGift.account_id, CredentialGift.given_by],
            set_={"given_at": now},
        )
    )


def staff_numbers(session: Session, account_ids: Sequence[UUID]) -> list[str | None]:
    """The employer's numbers of the accounts' owners, in the order of the accounts."""
    rows = session.execute(
        select(StaffAccount.id, StaffAccount.staff_number).where(StaffAccount.id.in_(account_ids))
    )
    found = {row.id: row.staff_number for row in rows}
    return [found.get(one) for one in account_ids]


def are_two_persons(session: Session, one: UUID, other: UUID, *, since: datetime) -> bool:
    """Whether nobody can hold both accounts by what was given out after ``since``.

    Each account leads to those who gave it a way to sign in, and on to those who gave them theirs;
    two persons' accounts lead to nobody in common.
    """
    first, second = _hands("first", one, since), _hands("second", other, since)
    shared = exists().where(first.c.account_id == second.c.account_id)
    return not session.scalar(select(shared))


def _hands(name: str, account_id: UUID, since: datetime) -> CTE:
    """The account, who gave it a way to sign in, who gave that one theirs, and so on."""
    hands = select(literal(account_id, Uuid()).label("account_id")).cte(name, recursive=True)
    return hands.union(  # without repetitions, so that it ends where two gave to each other
        select(CredentialGift.given_by)
        .join(hands, CredentialGift.account_id == hands.c.account_id)
        .where(CredentialGift.given_at > since)
    )
