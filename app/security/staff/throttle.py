"""Slows down who guesses: per account, wherever it comes from, and per address.

An attempt is counted before it is judged, so that many at once gain nothing. Some are free; then
each one is followed by a wait that doubles, up to a limit that a person can live with: whoever
knows an address can keep its owner waiting, and no longer than that.
"""

import hashlib
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.models.staff import SignInFailure
from app.security.staff.errors import TooManyAttemptsError

_FREE = {"account": 10, "address": 50}
_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(minutes=15)
#: Failures older than this are forgotten.
FORGOTTEN_AFTER = timedelta(hours=1)
#: A customer of a provider has at least so many bits of IPv6 addresses to himself.
_NETWORK_BITS = 64


class Attempt(NamedTuple):
    """Who tries, as far as the throttle is concerned: digests of an account and an address."""

    account: bytes
    address: bytes | None


def begin_attempt(session: Session, account: str, address: str | None, now: datetime) -> Attempt:
    """Count an attempt, in a transaction of its own.

    ``account`` is its login name, whether or not there is such an account.

    Raises:
        TooManyAttemptsError: there were too many, of this account or from this address.
    """
    attempt = Attempt(
        account=_digest("account", account),
        address=None if address is None else _digest("address", _network(address)),
    )
    subjects = {attempt.account: _FREE["account"]}
    if attempt.address is not None:
        subjects[attempt.address] = _FREE["address"]
    with transaction(session):
        session.execute(
            insert(SignInFailure)
            .values([{"subject_sha256": one, "last_at": now} for one in sorted(subjects)])
            .on_conflict_do_nothing()
        )
        counted = session.scalars(
            select(SignInFailure)
            .where(SignInFailure.subject_sha256.in_(subjects))
            .order_by(SignInFailure.subject_sha256)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).all()
        waits = [one.blocked_until - now for one in counted if one.blocked_until is not None]
        longest = max(waits, default=timedelta(0))
        if longest > timedelta(0):
            seconds = ceil(longest.total_seconds())
            raise TooManyAttemptsError(
                f"too many attempts; wait {seconds} seconds",
                detail_zh=f"尝试次数过多，请等待 {seconds} 秒",
                retry_after_s=seconds,
            )
        for one in counted:
            stale = now - one.last_at >= FORGOTTEN_AFTER
            one.failures = 1 if stale else one.failures + 1
            one.last_at = now
            one.blocked_until = _blocked_until(one.failures - subjects[one.subject_sha256], now)
    return attempt


def forgive(session: Session, attempt: Attempt, *, whole_account: bool) -> None:
    """Take an attempt back: it did not fail. ``whole_account`` forgets those before it too."""
    subjects = {attempt.account: whole_account}
    if attempt.address is not None:
        subjects[attempt.address] = False
    for subject, whole in sorted(subjects.items()):  # locked in the order of begin_attempt
        session.execute(
            update(SignInFailure)
            .where(SignInFailure.subject_sha256 == subject, SignInFailure.failures > 0)
            .values(failures=0 if whole else SignInFailure.failures - 1, blocked_until=None)
        )


def forget_attempts_before(session: Session, instant: datetime) -> int:
    """Drop counts that nothing was added to since; returns how many."""
    gone = session.execute(
        delete(SignInFailure)
        .where(SignInFailure.last_at < instant)
        .returning(SignInFailure.last_at)
    )
    return len(gone.all())


def _blocked_until(over: int, now: datetime) -> datetime | None:
    if over <= 0:
        return None
    # 30 s, 1 min, 2 min, … ; the exponent is bounded because the wait is.
    wait: timedelta = _FIRST_WAIT * 2 ** min(over - 1, 10)
    return now + min(wait, _LONGEST_WAIT)


def _network(address: str) -> str:
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address):
        mapped = known.ipv4_mapped
        return str(mapped or ip_network((known, _NETWORK_BITS), strict=False))
    return str(known)


def _digest(kind: str, subject: str) -> bytes:
    return hashlib.sha256(f"{kind}:{subject}".encode()).digest()
