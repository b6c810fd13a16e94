"""`dev.py audit`: a known hole fails it, and so does not being able to ask."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import dev

_SOUND = {"name": "sound", "version": "1.0", "vulns": []}
_HOLED = {
    "name": "holed",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-0000-1", "fix_versions": ["2.1"]}],
}
_UNKNOWN = {"name": "unknown", "skip_reason": "not found"}


def _telling(folder: Path, text: str) -> Path:
    """An interpreter that knows only what pip-audit would print."""
    program = folder / "python"
    program.write_text(f"#!{sys.executable}\nprint({text!r})\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        ([_SOUND], 0, "no known hole in 1 packages"),
        ([_SOUND, _HOLED], 1, "holed 2.0: PYSEC-0000-1, mended in 2.1"),
        ([_SOUND, _UNKNOWN], 1, "1 of 2 packages could not be looked up"),
    ],
)
def test_only_what_was_looked_up_and_found_sound_passes(
    told: list[dict[str, Any]],
    code: int,
    said: str,
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = json.dumps({"dependencies": told, "fixes": []})
    monkeypatch.setattr(dev, "PYTHON", _telling(tmp_path, answer))

    assert dev.known_holes(tmp_path / "any.lock") == code
    assert said in "".join(capsys.readouterr())


def test_an_answer_that_is_none_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "PYTHON", _telling(tmp_path, "no JSON"))

    assert dev.known_holes(tmp_path / "any.lock") != 0


@pytest.mark.long
def test_a_package_with_a_hole_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locked = tmp_path / "holed.lock"
    locked.write_text(f"jinja2==2.4.1 --hash=sha256:{'0' * 64}\n")

    assert dev.known_holes(locked) == 1

    said = capsys.readouterr()
    if "could not be looked up" in said.err:
        pytest.skip("PyPI's list of vulnerabilities cannot be reached from here")
    assert "jinja2 2.4.1: " in said.out
