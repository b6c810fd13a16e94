"""The pages for people, and what comes of typing what stands in them."""

import os
import re
import subprocess
import sys
from pathlib import Path


def blocks(page: Path) -> list[str]:
    """The shell blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found: list[tuple[str, str]] = re.findall(
        r"^( *)```sh\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE
    )
    return [
        "\n".join(line.removeprefix("   ") for line in block.splitlines()) for _, block in found
    ]


def typed(lines: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What comes of typing lines in a folder."""
    python = Path(sys.executable).parent
    return subprocess.run(
        ["bash", "-c", lines],
        cwd=folder,
        env={**os.environ, "PATH": f"{python}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
