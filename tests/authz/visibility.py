"""Who is shown which fields, and who may send which: as the service does it, and the page says."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from tests.authz.calls import CALLS
from tests.authz.world import CALLERS, World
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "reference" / "visibility.md"
#: Deeper than this, fields go with the one that they are in.
_LEVELS = 2
#: What only wraps the things that are told of.
_WRAPPING = re.compile(r"^(items|features|properties)\.")
_ROW = re.compile(r"^\| `(\w+)` \| ([\w ]+) \| ((?:`[\w.@:-]+` ?)*) ?\|$", re.MULTILINE)

#: Of each operation the callers who are treated alike, and the fields of these.
Rows = dict[tuple[str, tuple[str, ...]], tuple[str, ...]]


def fields(value: Any, at: str = "") -> Iterator[str]:
    """The names of all in a JSON value that is not null, dotted, of any item of a list."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from fields(one, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        for one in value:
            yield from fields(one, at)
    elif value is not None:
        name = at
        while (shorter := _WRAPPING.sub("", name)) != name:
            name = shorter
        yield ".".join(name.split(".")[:_LEVELS])


def that_read(document: Mapping[str, Any]) -> list[str]:
    """The operations that tell of things. Most under /ogc tell of the interface itself."""
    return [
        path["get"]["operationId"]
        for address, path in document["paths"].items()
        if "get" in path and ("/items" in address or not address.startswith("/ogc"))
    ]


def shown(world: World, operation: str, caller: str) -> tuple[str, ...]:
    """The fields that a caller is shown by an operation that reads; none where it is refused."""
    connection = world.session.get_bind()
    assert isinstance(connection, Connection)
    world.session.rollback()
    savepoint = connection.begin_nested()
    try:
        answer = world.call("GET", CALLS[operation](world, caller), caller)
        world.session.rollback()
    finally:
        savepoint.rollback()
        world.session.expire_all()
    if not answer.is_success or "json" not in answer.headers.get("content-type", ""):
        return ()
    return tuple(sorted(set(fields(json.loads(answer.text)))))


def grouped(by_caller: Mapping[str, tuple[str, ...]], operation: str) -> Rows:
    """Rows of an operation: callers who have the same fields are in one."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for caller, names in by_caller.items():
        if names:
            alike.setdefault(names, []).append(caller)
    return {(operation, tuple(callers)): names for names, callers in alike.items()}


def taken(document: Mapping[str, Any], table: Mapping[str, Mapping[str, str]]) -> Rows:
    """Who may send which fields: those whom the table lets through, of the body's schema."""
    found: Rows = {}
    for path in document["paths"].values():
        for operation in path.values():
            content: dict[str, Any] = operation.get("requestBody", {}).get("content", {})
            if not content:
                continue
            schema = next(iter(content.values()))["schema"]
            name = operation["operationId"]
            names = tuple(sorted(set(_members(schema, document))))
            callers = [one for one in CALLERS if table[name][one] == "ok"]
            found |= grouped(dict.fromkeys(callers, names), name)
    return found


def _members(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    yield from schema.get("properties", {})
    for word in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(word, ()):
            yield from _members(one, document)


def written(rows: Rows) -> str:
    """Rows as the page has them."""
    return "\n".join(
        f"| `{operation}` | {' '.join(callers)} | {' '.join(f'`{one}`' for one in names)} |"
        for (operation, callers), names in rows.items()
    )


def read(page: str) -> Rows:
    """Rows as they stand on (a part of) the page."""
    return {
        (operation, tuple(callers.split())): tuple(re.findall(r"`([^`]+)`", names))
        for operation, callers, names in _ROW.findall(page)
    }
