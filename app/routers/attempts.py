"""What a refused call may have been an attempt at, and callers who try again and again.

A single refusal cannot tell an attempt from a slip, so each leaves a line that says at what, and
who collects many of them in a minute one more, which is worth waking somebody for.
"""

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from starlette.types import Scope

from app.kernel.terms import Term
from app.routers.dependencies import CALLER
from app.routers.problems import PROBLEM
from app.routers.rates import WINDOW_S, Windows, address_of

logger = structlog.get_logger("security")

#: Refusals of one caller within a minute, of any kind, that are no slips any more.
MANY = 30


class Attempt(Term):
    """At what a refused call may have been an attempt."""

    AUTHENTICATION = "authentication", "身份认证失败", "a credential or sign-in that is not good"
    AUTHORISATION = "authorisation", "越权访问", "what the caller may not do"
    ENUMERATION = "enumeration", "探查", "what is not there, or is not the caller's to see"
    INPUT = "input", "输入校验未通过", "a message or a value that breaks a rule"
    RULES = "rules", "业务规则未通过", "a step that the rules of the business refuse"
    AUTOMATION = "automation", "频率超限", "more calls or more guesses than are let through"


ATTEMPTS: Mapping[int, Attempt] = {
    HTTPStatus.UNAUTHORIZED: Attempt.AUTHENTICATION,
    HTTPStatus.FORBIDDEN: Attempt.AUTHORISATION,
    HTTPStatus.NOT_FOUND: Attempt.ENUMERATION,
    HTTPStatus.METHOD_NOT_ALLOWED: Attempt.ENUMERATION,
    HTTPStatus.BAD_REQUEST: Attempt.INPUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Attempt.INPUT,
    HTTPStatus.UNPROCESSABLE_ENTITY: Attempt.INPUT,
    HTTPStatus.CONFLICT: Attempt.RULES,
    HTTPStatus.TOO_MANY_REQUESTS: Attempt.AUTOMATION,
}


class Attempts:
    """Writes refusals down. Runs on the event loop alone, so nothing is locked."""

    def __init__(self) -> None:
        """Nobody has tried anything yet."""
        self._refused = Windows(MANY)

    def note(self, scope: Scope, status: int) -> None:
        """Write down what a call that was answered ``status`` may have been an attempt at."""
        attempt = ATTEMPTS.get(status)
        if attempt is None:
            return
        state, address = scope["state"], address_of(scope)
        caller = state.get(CALLER, "public")
        told = {"caller": caller, "address": address, "status": status}
        logger.info("attempt", at=attempt.value, problem=state.get(PROBLEM), **told)
        # Who shows a credential is known by it; who does not, by the address alone.
        who = address if caller == "public" else caller
        now: float = scope["app"].state.clock.now().timestamp()
        standing = self._refused.count(who, now)
        if standing.allowed and standing.left == 0:  # once a minute
            logger.warning("many attempts", refusals=MANY, seconds=WINDOW_S, **told)
