from pathlib import Path

import pytest

from app.seeding.dataset import Dataset, make_dataset
from app.seeding.files import Reference, read_reference

DATA = Path(__file__).resolve().parents[2] / "data"
SEED = 20261101


@pytest.fixture(scope="session")
def reference() -> Reference:
    return read_reference(DATA)


@pytest.fixture(scope="session")
def dataset(reference: Reference) -> Dataset:
    """What a load would write. Tests that spoil rows put them back."""
    return make_dataset(reference, SEED)
