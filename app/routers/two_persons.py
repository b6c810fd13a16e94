"""Calls that take two people (双人复核): the first one makes an approval, the second one the work.

Where the installation has switched the rule off (`two_person_rule`), the first call does the work.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from app.ledger.approvals.listing import ApprovalOut, get_approval
from app.ledger.approvals.service import Asked, ask
from app.routers.dependencies import ActorDep, ClockDep, SessionDep, WriterDep

#: Of the operations that answer so.
ASKED_RESPONSE: dict[int | str, dict[str, Any]] = {
    202: {
        "model": ApprovalOut,
        "description": "待复核: nothing is changed until another manager of the park approves",
    }
}


class TwoPersons:
    """Does a write at once, or keeps it until a second person approves it."""

    def __init__(
        self,
        request: Request,
        session: SessionDep,
        actor: ActorDep,
        clock: ClockDep,
        *,
        write: WriterDep,
    ) -> None:
        """Made for each call that depends on it."""
        of = request.app.state.settings
        self._applies: bool = of.two_person_rule
        self._valid_for = timedelta(hours=of.approval_hours)
        self._session, self._actor, self._clock, self._write = session, actor, clock, write

    def __call__(
        self,
        asked: Asked | None,
        work: Callable[[], BaseModel],
        *,
        status: int,
        told: Callable[[Any], Mapping[str, Any]] = lambda made: made.model_dump(
            mode="json", by_alias=True
        ),
    ) -> Response:
        """Answer with what ``work`` made, or with 202 and the approval that waits.

        Args:
            asked: what is to be done; None for what one person may do.
            work: does it; neither commits nor rolls back.
            status: of the answer where it is done at once.
            told: the effect that the second person reads, of what ``work`` made in rehearsal.
        """
        if asked is None or not self._applies:
            return self._write(work, status=status)

        def keep() -> ApprovalOut:
            now = self._clock.now()
            approval_id = ask(
                self._session,
                self._actor,
                asked,
                lambda: told(work()),
                valid_for=self._valid_for,
                now=now,
            )
            return get_approval(self._session, self._actor, approval_id, now)

        return self._write(keep, status=202, location=lambda made: f"/api/v1/approvals/{made.id}")


TwoPersonsDep = Annotated[TwoPersons, Depends()]
