"""What the READMEs tell a new user to type works, typed as it stands, against a real server."""

import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.journeys.pages import blocks, typed


def typed_lines(readme: Path) -> str:
    """The shell blocks of the five calls, in order."""
    return "\n".join(block for block in blocks(readme) if "$API/" in block or "API=" in block)


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_five_calls_work_as_typed(readme: str, served: tuple[Path, int]) -> None:
    folder, port = served
    lines = typed_lines(ROOT / readme).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    if shutil.which("ogrinfo") is None:
        assert not os.environ.get("CI"), "gdal-bin is missing"
        lines = "\n".join(line for line in lines.splitlines() if not line.startswith("ogrinfo"))

    said = typed(lines, folder).stdout
    assert '"unit_type": "pilot"' in said
    assert '"origin": "derived"' in said
    matches = json.loads((folder / ".space-relay" / "matches.json").read_text(encoding="utf-8"))
    assert matches["items"][0]["rank"] == 1
    assert matches["items"][0]["contributions"]
    assert '"state": "signed"' in said
    # Gone for the days of the lease, and back from the day it ends.
    assert re.search(r"^0\n1$", said, re.MULTILINE)
    if shutil.which("ogrinfo"):
        assert re.search(r"Feature Count: [1-9]", said)


def test_the_questions_of_staff_are_answered_as_typed(served: tuple[Path, int]) -> None:
    folder, port = served
    first = next(block for block in blocks(ROOT / "README.md") if "API=" in block)
    lines = "\n".join(["set -e", first, *blocks(ROOT / "docs" / "howto" / "staff.md")])

    done = typed(lines.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), folder)

    assert done.returncode == 0, done.stderr
    ending = json.loads((folder / ".space-relay" / "ending.json").read_text(encoding="utf-8"))
    assert ending["items"]
    for lease in ending["items"]:
        assert "2026-12-01" <= lease["until"] < "2027-12-01"
        assert any(line["floor_load_kn_m2"] >= 7.5 for line in lease["lines"])
        assert all(line["rights"] is not None for line in lease["lines"])
    wanted = json.loads((folder / ".space-relay" / "wanted.json").read_text(encoding="utf-8"))
    assert wanted["judged_requests"] >= wanted["fitting_requests"] > 0
    assert wanted["items"][0]["rank"] == 1
    for said in (
        '"kind": "expansion"',
        '"kind": "split"',
        '"kind": "merged"',
        '"state": "held"',
        "occupancy_m2",
        '"decision": "lease.terminate"',
        "\n已通过\n",
        "'提前终止租约', '双方协商'",
        '"phone_masked": "138****0001"',
        '"phone": "+8613800000001"',
        '"action": "contact.revealed"',
        '"erased_reason": "本人来函要求删除其个人信息"',
    ):
        assert said in done.stdout, said
    assert "/problems/" not in done.stdout


def test_the_credentials_are_private_and_kept(demo_server: tuple[Path, int]) -> None:
    folder, port = demo_server
    file = folder / ".space-relay" / "demo.json"

    kept = json.loads(file.read_text(encoding="utf-8"))

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert kept["base_url"] == f"http://127.0.0.1:{port}"
    assert kept["staff"]["token"].startswith("sr_staff_")
    assert kept["firm"]["api_key"].startswith("sr_live_")
