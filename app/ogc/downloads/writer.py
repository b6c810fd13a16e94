"""Writes one GIS file: run as a program of its own, in a folder of its own.

GDAL is a great deal of code that reads and writes files in C. It runs here with no more than it
needs: no environment, no network, bounded memory, time and file size, and it ends with its work.

Standard input: one line of JSON that says what to write (``Head`` below), then one line a feature:
its number, its outline as well-known binary in hexadecimal digits or null, and its values. The file
goes into the working folder.
"""

import resource
import sqlite3
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

_GIB = 1 << 30
#: A quarter of a million features of 77 fields took 0.6 GiB of memory and 20 s of a processor.
_LIMITS = (
    (resource.RLIMIT_AS, 2 * _GIB),
    (resource.RLIMIT_CPU, 240),
    (resource.RLIMIT_FSIZE, 2 * _GIB),
    (resource.RLIMIT_NOFILE, 64),
    (resource.RLIMIT_CORE, 0),
)
_BATCH = 5_000
_UTC = 100  # GDAL's word for it


class Column(TypedDict):
    """One field: its name, its kind (``Kind`` in app/ogc/fields.py) and what people call it."""

    name: str
    kind: str
    title: str
    codes: dict[str, str]


class Head(TypedDict):
    """What to write."""

    file: str
    driver: str
    layer: str
    title: str
    geometry: str
    crs: str
    columns: list[Column]


def main() -> None:
    """Read standard input, write the file."""
    for limit, most in _LIMITS:
        resource.setrlimit(limit, (most, most))
    # After the limits, so that they hold for all that is loaded.
    import orjson  # noqa: PLC0415

    lines = sys.stdin.buffer
    head: Head = orjson.loads(lines.readline())
    _write(head, (orjson.loads(line) for line in lines))
    if head["driver"] == "GPKG":
        _describe(head)


def _write(head: Head, rows: Iterable[list[Any]]) -> None:
    import numpy as np  # noqa: PLC0415
    from pyogrio.raw import write  # noqa: PLC0415

    columns = head["columns"]
    batches: list[list[Any]] = []
    outlines: list[bytes | None] = []
    seen: dict[str, str] = {}
    for batch in _batched(rows):
        outlines += [None if row[1] is None else bytes.fromhex(row[1]) for row in batch]
        kinds = ["WHOLE", *(one["kind"] for one in columns)]
        cells = [
            [row[0] for row in batch],
            *([row[n + 2] for row in batch] for n in range(len(columns))),
        ]
        batches.append([_array(kind, some, seen) for kind, some in zip(kinds, cells, strict=True)])
    data, masks = [], []
    for parts in zip(*batches, strict=True):
        data.append(np.concatenate([values for values, _ in parts]))
        mask = np.concatenate([unknown for _, unknown in parts])
        masks.append(mask if mask.any() else None)
    options = {"SPATIAL_INDEX": "YES" if all(outlines) else "NO"}
    if head["driver"] == "GPKG":
        options = {"FID": "fid", "IDENTIFIER": head["title"]}
    write(
        head["file"],
        np.array([*outlines, None], dtype=object)[:-1],
        data,
        ["fid", *(one["name"] for one in columns)],
        field_mask=masks,
        layer=head["layer"],
        driver=head["driver"],
        geometry_type=head["geometry"],
        crs=head["crs"],
        gdal_tz_offsets={
            one["name"]: np.full(len(outlines), _UTC) for one in columns if one["kind"] == "INSTANT"
        },
        # GDAL of some years ago reads this version without a warning.
        dataset_options={"VERSION": "1.2"} if head["driver"] == "GPKG" else None,
        layer_options=options,
    )


def _batched(rows: Iterable[list[Any]]) -> Iterable[list[list[Any]]]:
    """Rows in batches; the last one may be empty, and there is always one."""
    batch: list[list[Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def _array(kind: str, cells: Sequence[Any], seen: dict[str, str]) -> tuple[Any, Any]:
    """The values as an array of their type, and which of them are not known."""
    import numpy as np  # noqa: PLC0415

    unknown = np.array([cell is None for cell in cells], dtype=bool)
    nothing, dtype = _TYPES.get(kind, ("", object))
    filled = [nothing if cell is None else cell for cell in cells]
    if dtype is object:
        # A few texts stand in most cells.
        filled = [seen.setdefault(cell, cell) for cell in filled]
    elif kind == "INSTANT":
        filled = [cell.removesuffix("Z").removesuffix("+00:00") for cell in filled]
    array = np.array(filled, dtype=dtype)
    return array, unknown


_TYPES: Mapping[str, tuple[Any, Any]] = {
    "WHOLE": (0, "int64"),
    "NUMBER": (float("nan"), "float64"),
    "TRUTH": (False, "bool"),
    "DAY": ("NaT", "datetime64[D]"),
    "INSTANT": ("NaT", "datetime64[ms]"),
}


def _describe(head: Head) -> None:
    """Add what fields are called and which codes they take: the schema extension of GeoPackage."""
    with sqlite3.connect(head["file"]) as file:
        file.executescript("""
            CREATE TABLE IF NOT EXISTS gpkg_extensions (
                table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
                definition TEXT NOT NULL, scope TEXT NOT NULL,
                CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
            CREATE TABLE gpkg_data_column_constraints (
                constraint_name TEXT NOT NULL, constraint_type TEXT NOT NULL, value TEXT,
                min NUMERIC, min_is_inclusive BOOLEAN, max NUMERIC, max_is_inclusive BOOLEAN,
                description TEXT,
                CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value));
            CREATE TABLE gpkg_data_columns (
                table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT,
                description TEXT, mime_type TEXT, constraint_name TEXT,
                CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
                CONSTRAINT gdc_tn UNIQUE (table_name, name));
        """)
        file.executemany(
            "INSERT INTO gpkg_extensions VALUES (?, NULL, 'gpkg_schema',"
            " 'http://www.geopackage.org/spec121/#extension_schema', 'read-write')",
            [("gpkg_data_columns",), ("gpkg_data_column_constraints",)],
        )
        for one in head["columns"]:
            file.execute(
                "INSERT INTO gpkg_data_columns VALUES (?, ?, ?, ?, NULL, NULL, ?)",
                (
                    *(head["layer"], one["name"], one["name"], one["title"]),
                    one["name"] if one["codes"] else None,
                ),
            )
            file.executemany(
                "INSERT INTO gpkg_data_column_constraints"
                " VALUES (?, 'enum', ?, NULL, NULL, NULL, NULL, ?)",
                [(one["name"], code, said) for code, said in one["codes"].items()],
            )
    file.close()


if __name__ == "__main__":
    main()
