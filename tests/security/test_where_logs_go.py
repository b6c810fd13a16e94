"""Logs go to standard error, heads of audit chains to their file, and nowhere else."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator

from tests.conftest import ROOT

#: What the library has to send lines elsewhere with, and what would do it in a word.
_SENDERS = frozenset(
    {
        *("FileHandler", "WatchedFileHandler", "RotatingFileHandler", "TimedRotatingFileHandler"),
        *("SocketHandler", "DatagramHandler", "SysLogHandler", "SMTPHandler", "HTTPHandler"),
        *("NTEventLogHandler", "QueueHandler", "MemoryHandler", "fileConfig", "dictConfig"),
        *("WriteLoggerFactory", "BytesLoggerFactory", "syslog", "sentry_sdk"),
    }
)
#: What adds to a file: the private database's own log, a lock of snapshots, and the chains' heads.
_ADDS = {"app/database/cluster.py", "app/matching/snapshots/store.py", "app/worker.py"}


def senders(source: str) -> Iterator[str]:
    """Names of what sends log lines elsewhere, wherever they stand."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {one.name.rsplit(".", 1)[-1] for one in node.names}
        elif isinstance(node, ast.Attribute):
            names = {node.attr}
        else:
            continue
        yield from names & _SENDERS


def adds_to_a_file(source: str) -> bool:
    """Whether something is opened to be added to."""
    return any(
        isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) == "open"
        and any(
            isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value[:1] == "a"
            for one in [*node.args[:2], *(word.value for word in node.keywords)]
        )
        for node in ast.walk(ast.parse(source))
    )


def test_nothing_in_the_code_sends_lines_elsewhere() -> None:
    sources = {
        str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
        for file in (ROOT / "app").rglob("*.py")
    }

    assert {name: list(senders(text)) for name, text in sources.items() if any(senders(text))} == {}
    assert {name for name, text in sources.items() if adds_to_a_file(text)} == _ADDS
    # Control: both would be seen.
    assert list(senders("from logging.handlers import SysLogHandler")) == ["SysLogHandler"]
    assert list(senders("import logging\nlogging.FileHandler('x')")) == ["FileHandler"]
    assert adds_to_a_file("path.open('a')")
    assert adds_to_a_file("open('x', mode='ab')")


def test_what_is_logged_is_on_standard_error_alone() -> None:
    script = (
        "import logging, structlog\n"
        "from app import logs\n"
        "logs.configure('DEBUG', as_json=True)\n"
        "structlog.get_logger('ours').info('call')\n"
        "logging.getLogger('theirs').warning('of a library')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == ""
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == [
        "call",
        "of a library",
    ]
