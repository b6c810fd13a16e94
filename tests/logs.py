"""Logs as the product writes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import structlog
from fastapi.testclient import TestClient

from app import logs


@contextmanager
def as_in_production() -> Iterator[StringIO]:
    """What is logged meanwhile, from DEBUG on, as JSON lines."""
    written = StringIO()
    before = structlog.get_config()
    structlog.configure(
        processors=logs.processors(as_json=True),
        wrapper_class=structlog.make_filtering_bound_logger(0),
        logger_factory=structlog.PrintLoggerFactory(file=written),
        cache_logger_on_first_use=False,
    )
    try:
        yield written
    finally:
        structlog.configure(**before)


def figures(client: TestClient) -> str:
    """What `/metrics` tells a program of the service's own machine."""
    return TestClient(client.app, client=("127.0.0.1", 50_000)).get("/metrics").text
