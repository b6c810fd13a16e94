"""Which transaction a write was, which callers are not told."""

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response


def number_of(client: TestClient, answer: Response) -> int:
    """The number behind a write's ``X-Space-Version``."""
    assert isinstance(client.app, FastAPI)
    hidden = answer.headers["X-Space-Version"]
    return int(client.app.state.sealer.reveal("space-version", hidden))
