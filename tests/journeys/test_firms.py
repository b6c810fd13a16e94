"""What a firm's engineer types, from an application to the first match, as the guide has it."""

import json
from pathlib import Path

from app.security.actors import Scope
from tests.conftest import ROOT
from tests.journeys.pages import blocks, typed

GUIDE = ROOT / "docs" / "howto" / "firms.md"


def test_from_an_application_to_the_first_match_as_typed(served: tuple[Path, int]) -> None:
    folder, port = served
    lines = "\n".join(["set -e -o pipefail", *blocks(GUIDE)])

    done = typed(lines.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), folder)

    assert done.returncode == 0, done.stdout + done.stderr
    matches = json.loads((folder / ".space-relay" / "first-match.json").read_text("utf-8"))
    assert matches["items"][0]["rank"] == 1
    assert "/problems/" not in done.stdout
    said = [line for line in done.stdout.splitlines() if line in {"received", "已释放", "revoked"}]
    assert said == ["received", "已释放", "已释放", "revoked"]
    told = [line for line in done.stdout.splitlines() if line.startswith("told of ")]
    assert told == ["told of ping", "told of hold.placed"]
    assert done.stdout.rstrip().endswith("401")
    assert '"available":true' in done.stdout.replace(" ", "")
    secrets = [
        json.loads((folder / ".space-relay" / name).read_text("utf-8"))["key"]
        for name in ("key.json", "test-key.json", "reader.json")
    ]
    assert [secret[:8] for secret in secrets] == ["sr_live_", "sr_test_", "sr_live_"]
    assert not [secret for secret in secrets if secret in done.stdout]


def test_the_guide_names_every_scope() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert [scope.value for scope in Scope if f"| `{scope.value}` |" not in text] == []
