"""The source itself: no dangerous calls, and no secret that somebody left in it."""

import re
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: What grants access somewhere, told by its form alone; ours are as app/security makes them.
_SECRETS = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
    r"|\bsr_(?:live|test|staff)_[0-9a-z]{16}_[0-9A-Za-z_-]{43}\b"
    r"|\bsr_invite_[0-9A-Za-z_-]{43}\b"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[0-9A-Za-z]{36}\b|\bgithub_pat_[0-9A-Za-z_]{60,}"
    r"|\bglpat-[0-9A-Za-z_-]{20}|\bxox[abprs]-[0-9A-Za-z-]{20,}"
    r"|\bAIza[0-9A-Za-z_-]{35}|\bLTAI[0-9A-Za-z]{16,24}\b|\bAKID[0-9A-Za-z]{32}\b"
    r"|\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{20,}"
    r"|://[^/\s:@{}$<]+:(?!postgres@|space_relay@|…)[0-9A-Za-z+/_-]{16,}@"
)


def left_in(files: Iterable[Path]) -> Iterator[str]:
    """Where something that looks like a secret is; not what it is."""
    for path in files:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # no text, or deleted and not committed yet
        for number, line in enumerate(lines, 1):
            if _SECRETS.search(line):
                yield f"{path}:{number}"


def dangers(folder: Path) -> subprocess.CompletedProcess[str]:
    """What bandit finds from medium severity on."""
    # ruff has these three too (S104, S108, S608), and is told why at each place.
    skipped = "B104,B108,B608"
    command = [sys.executable, "-m", "bandit", "-q", "-r", str(folder), "-ll", "--skip", skipped]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_secret_is_in_the_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("no Git here, or no repository")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert files

    assert list(left_in(files)) == []


@pytest.mark.parametrize("shape", ["sr_live_{id}_{key}", "-----BEGIN {} KEY-----", "AKIA{aws}"])
def test_a_secret_that_is_left_is_found(tmp_path: Path, shape: str) -> None:
    planted = tmp_path / "notes.md"
    made = shape.format(
        "PRIVATE", id="a1" * 8, key=secrets.token_urlsafe(32).replace("-", "x"), aws="B7" * 8
    )
    planted.write_text(f"first line\nkey = '{made}'\n", encoding="utf-8")

    assert list(left_in([planted])) == [f"{planted}:2"]


def test_no_dangerous_call_is_in_the_application(tmp_path: Path) -> None:
    found = dangers(ROOT / "app")
    (tmp_path / "bad.py").write_text("import pickle\n\npickle.loads(open('x', 'rb').read())\n")

    assert found.returncode == 0, found.stdout
    assert dangers(tmp_path).returncode == 1
