"""Segments on disk, mapped into memory: many processes on one machine share one copy.

A segment is a folder of ``.npy`` files beside a ``meta.json`` that says of which database, instant
and layout it is. Folders are written aside and renamed, so that nobody ever sees half of one; what
does not match or does not add up is passed over, and read from the database again.
"""

import fcntl
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray

from app.matching.columns import BY_WIDTH, COLUMNS, FACILITIES, Width
from app.matching.segment import Buildings, Floors, Groups, ParkInfo, Segment, Version
from app.matching.snapshots.load import Loaded, parse_version

logger = structlog.get_logger(__name__)

#: Raised when what the arrays mean changes and their names do not.
_FORMAT = 2
_META = "meta.json"
_PARTS: Mapping[str, type[Any]] = {"buildings": Buildings, "floors": Floors, "groups": Groups}
_KINDS: tuple[Any, ...] = (Segment, *_PARTS.values(), ParkInfo, Loaded)
_DIGEST_LENGTH = 16
_IDENTITY = """
SELECT s.system_identifier, c.timeline_id,
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    (SELECT string_agg(version_num, ',' ORDER BY version_num) FROM alembic_version)
FROM pg_control_system() s, pg_control_checkpoint() c"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A segment with the version it was read at."""

    loaded: Loaded
    version: Version


def database_identity(connection: psycopg.Connection[Any]) -> str:
    """What tells this database from every other, and from itself before it was put back in time."""
    row = connection.execute(_IDENTITY).fetchall()[0]
    return "-".join(str(one) for one in row)


def layout_digest(rules_version: str) -> str:
    """What tells this layout of a segment from every other."""
    said = [
        _FORMAT,
        rules_version,
        [
            (one.name, one.kind.value, one.width.name, one.grain, one.order, one.summed)
            for one in COLUMNS.values()
        ],
        [facility.value for facility in FACILITIES],
        [[one.name for one in fields(kind)] for kind in _KINDS],
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:_DIGEST_LENGTH]


class Store:
    """The segments of one database, in one layout, below a folder."""

    def __init__(self, folder: Path, identity: str, rules_version: str) -> None:
        self._folder = folder / hashlib.sha256(identity.encode()).hexdigest()[:_DIGEST_LENGTH]
        self._identity = identity
        self._digest = layout_digest(rules_version)

    @contextmanager
    def alone(self, *, wait: bool) -> Iterator[bool]:
        """Whether this process is the only one in here; ``wait`` until it is."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            # Closing the file gives it up, as does the end of the process.
            yield True

    def newest(self, after: datetime | None = None) -> Kept | None:
        """The newest segment that can be used, if it was read later than ``after``."""
        for name in sorted(self._names(), reverse=True):
            try:
                kept = self._open(self._folder / name)
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("a saved snapshot cannot be used", name=name, why=str(error))
                continue
            return kept if after is None or kept.version.taken_at > after else None
        return None

    def save(self, kept: Kept) -> Kept:
        """Write a segment and hand it back as it is mapped; older ones are removed.

        Raises:
            OSError: it could not be written.
        """
        instant = int(kept.version.taken_at.timestamp() * 1_000_000)
        name = f"{instant:020}-{self._digest}"
        aside = self._folder / f".{name}-{uuid4().hex}"
        try:
            aside.mkdir(parents=True, mode=0o700)
            _write(aside, kept, self._identity, self._digest)
            aside.rename(self._folder / name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        for other in self._folder.iterdir():
            # What others have mapped stays theirs until they let it go.
            if other.is_dir() and other.name != name:
                shutil.rmtree(other, ignore_errors=True)
        return self._open(self._folder / name)

    def _names(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return [one.name for one in self._folder.iterdir() if one.name.endswith(self._digest)]

    def _open(self, folder: Path) -> Kept:
        meta = json.loads((folder / _META).read_text("utf-8"))
        if (meta["identity"], meta["digest"]) != (self._identity, self._digest):
            raise ValueError("it is of another database or layout")
        arrays = {name: _mapped(folder, name, crc) for name, crc in meta["arrays"].items()}
        version = parse_version(meta["version"], datetime.fromisoformat(meta["taken_at"]))
        return Kept(_joined(arrays, meta), version)


def _write(folder: Path, kept: Kept, identity: str, digest: str) -> None:
    segment = kept.loaded.segment
    arrays = _taken_apart(kept.loaded)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    meta = {
        "identity": identity,
        "digest": digest,
        "version": str(kept.version),
        "taken_at": kept.version.taken_at.isoformat(),
        "arrays": {name: _checksum(array) for name, array in arrays.items()},
        "land_use_codes": segment.land_use_codes,
        "codes": segment.buildings.code,
        "parks": [
            [
                park.code,
                sorted(park.park_codes),
                sorted(park.zone_codes),
                park.special_goods_import_pilot,
            ]
            for park in segment.parks
        ],
    }
    with (folder / _META).open("w", encoding="utf-8") as file:
        json.dump(meta, file)
        file.flush()
        os.fsync(file.fileno())


def _taken_apart(loaded: Loaded) -> dict[str, NDArray[Any]]:
    """Every array by a name of its own; what is empty, too."""
    segment = loaded.segment
    found: dict[str, Any] = {"turns_us": loaded.turns_us}
    found |= {f"cells.{width.name}": segment.cells[width] for width in BY_WIDTH}
    for place, owner in (("segment", segment), *((one, getattr(segment, one)) for one in _PARTS)):
        found |= {f"{place}.{one.name}": getattr(owner, one.name) for one in fields(owner)}
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}


def _joined(arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> Loaded:
    def of(place: str) -> dict[str, Any]:
        return {
            name.removeprefix(f"{place}."): array
            for name, array in arrays.items()
            if name.startswith(f"{place}.")
        }

    parks = tuple(
        ParkInfo(code, frozenset(parks), frozenset(zones), pilot)
        for code, parks, zones, pilot in meta["parks"]
    )
    segment = Segment(
        parks=parks,
        land_use_codes=tuple(meta["land_use_codes"]),
        buildings=Buildings(code=tuple(meta["codes"]), **of("buildings")),
        floors=Floors(**of("floors")),
        groups=Groups(**of("groups")),
        cells={width: arrays[f"cells.{width.name}"] for width in Width},
        **of("segment"),
    )
    return Loaded(segment, arrays["turns_us"])


def _mapped(folder: Path, name: str, crc: int) -> NDArray[Any]:
    # Without pickles, so that a file is never code; as plain arrays, which kernels know.
    array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    plain: NDArray[Any] = array.view(np.ndarray)
    if _checksum(plain) != crc:
        raise ValueError(f"{name} is damaged")
    return plain


def _checksum(array: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
