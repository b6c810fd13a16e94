"""Where an answer gets its snapshot: from one that follows the database, or read on the spot."""

import threading
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.demand.rules import BuildingRules
from app.kernel.errors import BusyError, Fault, InvalidInputError
from app.matching.segment import Snapshot
from app.matching.snapshots.follow import Follower
from app.matching.snapshots.load import load_snapshot

#: What the number of a write's transaction is hidden for.
SPACE_VERSION = "space-version"
#: How long an answer waits for a write to be seen.
_SEEN_WITHIN_SECONDS = 5.0


def never_given_out() -> InvalidInputError:
    """What is said of a version that no write was answered with."""
    return InvalidInputError(
        "this version was never given out",
        [
            Fault(
                "/min_version",
                "take it from the header X-Space-Version of a write",
                detail_zh="应取自写入响应的 X-Space-Version 头",
            )
        ],
        detail_zh="从未产生过该版本",
    )


class Snapshots(Protocol):
    """Gives snapshots of all space."""

    def current(self, session: Session) -> Snapshot:
        """The newest there is."""
        ...

    def at_least(self, session: Session, min_version: int) -> Snapshot:
        """One that has seen a transaction, by its number.

        Raises:
            BusyError: it was not seen in time.
        """
        ...

    def age_seconds(self) -> float | None:
        """How long ago the newest was known to be true; None where nothing is followed."""
        ...

    def close(self) -> None:
        """Give up what it holds."""
        ...


class ReadAnew:
    """Reads everything in the session's own transaction, each time: for tests and commands."""

    def __init__(self, rules: BuildingRules | None = None) -> None:
        self._rules = rules

    def current(self, session: Session) -> Snapshot:
        """All space as the session sees it."""
        return load_snapshot(session, rules=self._rules)

    def at_least(self, session: Session, min_version: int) -> Snapshot:  # noqa: ARG002
        """The same: what was committed is seen."""
        return self.current(session)

    def age_seconds(self) -> float | None:
        """Nothing is followed."""
        return None

    def close(self) -> None:
        """Nothing is held."""


class Followed:
    """A follower that begins when it is first needed, so that who never asks never pays."""

    def __init__(self, engine: Engine, rules: BuildingRules, folder: Path | None) -> None:
        self._engine, self._rules, self._folder = engine, rules, folder
        self._lock = threading.Lock()
        self._follower: Follower | None = None
        self._closed = False

    def begin(self) -> None:
        """Begin to follow now, so that the first who asks need not wait for the first reading."""
        self._started()

    def current(self, session: Session) -> Snapshot:  # noqa: ARG002
        """The newest there is; the first takes seconds."""
        return self._started().current()

    def at_least(self, session: Session, min_version: int) -> Snapshot:
        """One that has seen a transaction."""
        follower = self._started()
        snapshot = self.current(session)
        if snapshot.version.sees(min_version):
            return snapshot
        if not follower.wait_for(min_version, _SEEN_WITHIN_SECONDS):
            if min_version >= follower.current().version.xmax:
                raise never_given_out()
            raise BusyError(
                "this version is not seen yet; try again, or ask without it",
                detail_zh="尚未读到该版本，请重试或不指定版本",
            )
        return follower.current()

    def age_seconds(self) -> float | None:
        """How long ago the newest was known to be true."""
        return None if self._follower is None else self._follower.age_seconds()

    def close(self) -> None:
        """End the follower."""
        with self._lock:
            self._closed = True
            if self._follower is not None:
                self._follower.stop()

    def _started(self) -> Follower:
        with self._lock:
            if self._closed:
                raise BusyError("the service is ending")
            if self._follower is None:
                self._follower = Follower(self._engine, self._rules, self._folder)
                self._follower.start()
            return self._follower
