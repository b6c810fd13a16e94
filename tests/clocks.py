"""A clock that a test sets."""

from datetime import UTC, datetime, timedelta

from fastapi import FastAPI
from fastapi.testclient import TestClient


class SetClock:
    """Noon in Shanghai on 1 November 2026, until it is moved on."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 1, 4, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def pass_by(self, **time: float) -> None:
        """Let time pass, as ``timedelta`` names it."""
        self.at += timedelta(**time)


def set_clock(client: TestClient) -> SetClock:
    """Give a client's application a clock that the test sets."""
    app = client.app
    assert isinstance(app, FastAPI)
    app.state.clock = clock = SetClock()
    return clock
