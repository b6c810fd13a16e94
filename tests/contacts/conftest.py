"""Contacts' tests read what is logged."""

from collections.abc import Iterator
from io import StringIO

import pytest

from tests.logs import as_in_production


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What is logged meanwhile, from DEBUG on, as JSON lines."""
    with as_in_production() as written:
        yield written
