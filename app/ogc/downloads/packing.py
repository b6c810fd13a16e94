"""GIS files that GDAL writes, in a process of its own: app/ogc/downloads/writer.py."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any

import orjson
import structlog
from sqlalchemy import ColumnElement, func
from sqlalchemy.orm import Session

from app.kernel.errors import BusyError
from app.ogc.collection import Collection
from app.ogc.downloads import writer
from app.ogc.downloads.asked import Download
from app.ogc.downloads.rows import SECONDS, values

logger = structlog.get_logger(__name__)

_PIECE_BYTES = 1 << 18


def write_file(session: Session, download: Download, most: int, folder: Path) -> Path:
    """Write the file into an empty folder that nobody else uses.

    Raises:
        BusyError: it took too long, or more than the process that writes it may have.
    """
    rows = values(session, download, most, _binary)
    with (folder / "said").open("wb") as said:
        child = subprocess.Popen(  # noqa: S603  (our own program, and no word of a caller's)
            [sys.executable, "-I", writer.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd=folder,
            env=_surroundings(folder),
            start_new_session=True,
        )
    timer = Timer(SECONDS, _end, [child])
    timer.start()
    try:
        # It tells by its exit why it stopped reading.
        with suppress(BrokenPipeError):
            _tell(child, download, rows)
        done = child.wait() == 0
    finally:
        timer.cancel()
        _end(child)
    if not done:
        logger.warning("no file", said=(folder / "said").read_text("utf-8", "replace")[-2000:])
        raise BusyError(
            "the file could not be written within its limits; ask for fewer features",
            detail_zh="文件超出生成限制，请缩小范围后重试",
        )
    return folder / head_of(download)["file"]


def pieces_of(file: Path) -> Iterator[bytes]:
    """What is in a file, piece by piece."""
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece


def head_of(download: Download) -> writer.Head:
    """What the writer is told before the features."""
    collection: Collection = download.selection.collection
    return {
        "file": f"out.{download.name}",
        "driver": download.format.driver,
        "layer": collection.id,
        "title": f"{collection.title_zh} {collection.title_en}",
        "geometry": collection.geometry.value,
        "crs": download.crs.definition or f"EPSG:{download.crs.srid}",
        "columns": [
            {
                "name": one.name,
                "kind": one.kind.name,
                "title": one.title_zh,
                # A file's list of codes knows no joined ones.
                "codes": {code.value: code.zh for code in (not one.joined and one.codes) or ()},
            }
            for one in collection.fields.values()
        ],
    }


def _tell(
    child: "subprocess.Popen[bytes]", download: Download, rows: Iterable[Sequence[Any]]
) -> None:
    assert child.stdin is not None  # noqa: S101  (it is a pipe)
    with child.stdin as pipe:
        pipe.write(orjson.dumps(head_of(download)) + b"\n")
        for row in rows:
            pipe.write(orjson.dumps(tuple(row), default=float) + b"\n")


def _binary(outline: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.encode(func.ST_AsBinary(outline), "hex")


def _surroundings(folder: Path) -> dict[str, str]:
    """All that the writer knows of the machine."""
    return {
        "LANG": "C.UTF-8",
        "TMPDIR": str(folder),
        "CPL_TMPDIR": str(folder),
        # Threads of numpy would take memory that is counted.
        "OPENBLAS_NUM_THREADS": "1",
        "GDAL_NUM_THREADS": "1",
        "PROJ_NETWORK": "OFF",
        "PATH": os.defpath,
    }


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Kill the writer and what it may have started; does nothing to one that is gone."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
