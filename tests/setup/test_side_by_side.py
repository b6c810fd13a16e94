"""Which tests stay together on one worker."""

import pytest

from tests.setup.side_by_side import _ALONE, _ORDER, _TOGETHER, ROOT, room


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("tests/faults/test_kill.py::test_x[short]", "alone"),
        ("tests/setup/test_private_cluster.py::test_x", "alone"),
        ("tests/ledger/test_race_matrix.py::test_x[short-part]", "alone"),
        ("tests/ledger/units/test_race.py::test_x[a::b/c]", "alone"),
        ("tests/inventory/test_pieces.py::TestX::test_y", "tests/inventory"),
        ("tests/routers/test_holds.py::test_x", "tests/routers/test_holds.py"),
    ],
)
def test_races_share_a_worker_and_others_keep_to_their_file(nodeid: str, expected: str) -> None:
    assert room(nodeid) == expected


def test_what_is_named_exists() -> None:
    """A file that moved would race beside others, or begin late, and nobody would notice."""
    named = [name for name in (*_ALONE, *_TOGETHER, *_ORDER) if name != "alone"]

    assert [
        name for name in named if not list(ROOT.glob(name if "/" in name else f"tests/**/{name}"))
    ] == []
