"""A good call of every operation with one value spoilt: refused or taken, and never a bug."""

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from app.inventory.drawing.layers import LAYERS
from app.kernel.written import WrittenBody
from tests.authz.calls import CALLS
from tests.authz.test_matrix import EXPECTED, methods
from tests.authz.world import Call, World

#: Numbers that Python's own reader of JSON takes, and no column or reckoning.
NUMBERS = ("NaN", "Infinity", "1e999", "-1e999", "9" * 400, "0." + "9" * 400)
#: Text that PostgreSQL does not keep, that UTF-8 cannot write, or that is far too much.
TEXTS = (r'"\u0000"', r'"\ud800"', r'"\udfff\ud800x"', '"' + "x" * 100_000 + '"')
#: What a column of some kind cannot keep, or another kind of column would.
PROPERTIES = (
    *("1e300", "1e-300", "-1", "99999999999999999999", "2147483648", "32768", "1.23456789"),
    *("true", "[]", "{}", r'"\u0000"', '"2027-02-30"', '"99999-01-01"', '"' + "x" * 5_000 + '"'),
)
IN_QUERIES = ("%00", "%ff", "%ed%a0%80", "x" * 60_000, "-1", "1e999", "'; SELECT 1; --")
#: By the type that a schema names: what is of another one, though a lax reader would take it.
OTHER_TYPES = {
    "integer": ("true", '"80"'),
    "number": ("true",),
    "boolean": ('"true"', "1"),
}
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_HERE = "somewhere to put a value as it is written"


@pytest.fixture
def world(
    session: Session, make_client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> World:
    monkeypatch.setattr("app.webhooks.log._UNTIL_TAKEN_SECONDS", 0.0)
    return World(session, make_client(session, two_person_rule=True))


def leaves(value: Any, kind: type | tuple[type, ...]) -> Iterator[tuple[Any, Any]]:
    """Where in ``value`` something of ``kind`` stands: its holder, and the key in it."""
    keys = value.keys() if isinstance(value, Mapping) else range(len(value))
    for key in list(keys):
        if isinstance(value[key], Mapping | list):
            yield from leaves(value[key], kind)
        elif isinstance(value[key], kind) and not isinstance(value[key], bool):
            yield value, key


#: Each place is given one value of all, the next place the next one; or, given time, all of them.
THOROUGH = [False, pytest.param(True, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]


def some(values: Sequence[str], number: int, *, thorough: bool) -> Sequence[str]:
    """What the place of this number is given."""
    return values if thorough else [values[number % len(values)]]


def spoilt(body: Any, *, thorough: bool) -> Iterator[bytes]:
    """``body`` again and again, each time with one value that is none."""
    for kind, values in (((int, float), NUMBERS), ((str,), TEXTS)):
        for number in range(sum(1 for _ in leaves(body, kind))):
            changed = copy.deepcopy(body)
            holder, key = list(leaves(changed, kind))[number]
            holder[key] = _HERE
            for written in some(values, number + len(body), thorough=thorough):
                yield json.dumps(changed).replace(json.dumps(_HERE), written).encode()


def untold(text: str) -> list[str]:
    """What a refusal says in English only."""
    problem = json.loads(text)
    told = [problem, *problem["errors"]]
    return [one["detail"] for one in told if not _CHINESE.search(one["detail_zh"] or "")]


def caller_of(operation: str) -> str:
    """Somebody whose good call it is."""
    cells = EXPECTED[operation]
    callers = ("firm_a", "manager", "admin", *cells)
    return next((who for who in callers if cells[who] == "ok"), "admin")


def answered(world: World, method: str, call: Call, caller: str, **more: Any) -> tuple[int, str]:
    """Status and text, with nothing left of what it did."""
    connection = world.session.get_bind()
    assert isinstance(connection, Connection)
    world.session.rollback()
    savepoint = connection.begin_nested()
    headers = ({} if call.alone else world.headers[caller]) | call.headers | {"If-Match": "*"}
    headers |= more.pop("headers", {})
    try:
        answer = world.client.request(method, call.path, headers=headers, **more)
        world.session.rollback()
    finally:
        savepoint.rollback()
        world.session.expire_all()
    return answer.status_code, answer.text


@pytest.mark.parametrize("thorough", THOROUGH)
def test_no_value_in_a_body_is_a_bug(world: World, *, thorough: bool) -> None:
    by, bugs, english, tried, refused = methods(world.app), [], [], 0, 0
    for operation, made in CALLS.items():
        caller = caller_of(operation)
        call = made(world, caller)
        if not isinstance(call.json, dict):
            continue
        for body in spoilt(call.json, thorough=thorough):
            sent = {"Content-Type": "application/json"}
            status, text = answered(world, by[operation], call, caller, content=body, headers=sent)
            tried, refused = tried + 1, refused + (400 <= status < 500)
            if status >= 500:
                bugs.append(f"{operation}: {status} {text[:200]}\n{body[:300]!r}")
            elif status >= 400:
                english += [f"{operation}: {said}" for said in untold(text)]
    assert not bugs, "\n".join(bugs)
    assert not english, "\n".join(english)
    # The control: what is tried is spoilt indeed, but for odd text where any text is taken.
    assert tried > 50
    assert refused > 0.9 * tried


def members(document: Mapping[str, Any], operation: Mapping[str, Any]) -> dict[str, str]:
    """Of an operation's JSON body: which members are numbers or flags, and of what type."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found = {}
    for name, member in schema.get("properties", {}).items():
        types = {one.get("type") for one in member.get("anyOf", [member])}
        kind = next((kind for kind in OTHER_TYPES if kind in types), None)
        if kind is not None and "string" not in types:
            found[name] = kind
    return found


def test_numbers_and_flags_of_bodies_are_of_no_other_type(world: World) -> None:
    """All numbers and flags of one body are spoilt at once: each is refused, by its name."""
    document = world.app.openapi()
    taken, tried = [], 0
    for item in document["paths"].values():
        for method, operation in item.items():
            kinds = members(document, operation)
            name = operation["operationId"]
            if not kinds or name not in CALLS:
                continue
            caller = caller_of(name)
            call = CALLS[name](world, caller)
            for turn in range(2):
                wrong = {
                    member: json.loads(OTHER_TYPES[kind][turn % len(OTHER_TYPES[kind])])
                    for member, kind in kinds.items()
                }
                status, text = answered(
                    world, method.upper(), call, caller, json=(call.json or {}) | wrong
                )
                faults = json.loads(text).get("errors", [])
                refused = {fault["pointer"].split("/")[1] for fault in faults}
                taken += [f"{name} {m}={wrong[m]!r}: {status}" for m in wrong.keys() - refused]
                tried += len(wrong)
    assert not taken, "\n".join(taken)
    assert tried > 80


def test_a_refusal_in_english_only_is_found() -> None:
    """The control of what looks for Chinese."""
    fault = {"detail": "must be a number", "detail_zh": "number"}
    problem = {"detail": "wrong", "detail_zh": "有误", "errors": [fault]}

    assert untold(json.dumps(problem)) == ["must be a number"]
    assert untold(json.dumps(problem | {"detail_zh": None, "errors": []})) == ["wrong"]


def test_a_lax_body_would_take_other_types() -> None:
    """The control: what every body derives from is what refuses them."""

    class Lax(BaseModel):
        number: int
        flag: bool

    class Strict(WrittenBody):
        number: int
        flag: bool
        rows: dict[str, list[float]]

    assert Lax.model_validate({"number": True, "flag": "true"}).number == 1
    with pytest.raises(ValidationError) as refused:
        Strict.model_validate({"number": True, "flag": 1, "rows": {"a": [1, "2", False]}})
    assert [one["type"] for one in refused.value.errors()] == [
        *("int_type", "bool_type", "float_type", "float_type")
    ]
    assert Strict.model_validate({"number": 80.0, "flag": False, "rows": {"a": [1]}}).number == 80
    assert Strict.model_json_schema()["properties"]["number"]["type"] == "integer"


@pytest.mark.parametrize("thorough", THOROUGH)
def test_no_value_in_a_query_is_a_bug(world: World, *, thorough: bool) -> None:
    document = world.app.openapi()
    bugs, english, tried = [], [], 0
    for path, item in document["paths"].items():
        operation = item.get("get")
        if operation is None or operation["operationId"] not in CALLS:
            continue
        name = operation["operationId"]
        caller = caller_of(name)
        call = CALLS[name](world, caller)
        for parameter in operation.get("parameters", []):
            if parameter["in"] != "query":
                continue
            for value in some(IN_QUERIES, tried, thorough=thorough):
                spoilt_call = Call(f"{call.path}?{parameter['name']}={value}", alone=call.alone)
                status, text = answered(world, "GET", spoilt_call, caller, headers=call.headers)
                tried += 1
                if status >= 500:
                    bugs.append(f"{path} {parameter['name']}={value[:40]}: {status} {text[:200]}")
                elif status >= 400:
                    english += [f"{path} {parameter['name']}: {said}" for said in untold(text)]
    assert not bugs, "\n".join(bugs)
    assert not english, "\n".join(english)
    assert tried > 200


@pytest.mark.parametrize("thorough", THOROUGH)
def test_no_property_of_a_feature_is_a_bug(world: World, *, thorough: bool) -> None:
    """What is drawn has properties of every kind of column, which no model of a body knows."""
    bugs, tried, refused = [], 0, 0
    for layer in ("parcels", "buildings", "floors", "parks"):
        own = LAYERS[layer].table.c
        fid = world.session.scalar(select(own.fid).where(own.id == world.ids[layer[:-1]]))
        call = Call(f"/ogc/collections/{layer}/items/{fid}")
        pairs = [
            (name, value)
            for number, name in enumerate(LAYERS[layer].ever)
            for value in some(PROPERTIES, number, thorough=thorough)
        ]
        for name, value in pairs:
            body = f'{{"type": "Feature", "properties": {{"{name}": {value}}}}}'.encode()
            sent = {"Content-Type": "application/geo+json"}
            status, text = answered(world, "PATCH", call, "admin", content=body, headers=sent)
            tried, refused = tried + 1, refused + (400 <= status < 500)
            if status >= 500:
                bugs.append(f"{layer} {name}={value[:40]}: {status} {text[:200]}")
    assert not bugs, "\n".join(bugs)
    assert tried > 50
    assert refused > tried / 2


def test_no_value_of_a_header_is_a_bug(world: World) -> None:
    by = methods(world.app)
    for operation, header, value in product(
        ("create_hold", "release_hold", "show_unit"),
        (b"Authorization", b"If-Match", b"If-None-Match", b"Idempotency-Key", b"X-Request-Id"),
        (b"\xff\xfe", "中".encode(), b"x" * 20_000, b'"', b"Bearer \xff", b"Bearer sr_live_x_y"),
    ):
        caller = caller_of(operation)
        call = CALLS[operation](world, caller)
        usual = {name.encode(): text.encode() for name, text in world.headers[caller].items()}
        sent = usual | {b"If-Match": b"*"} | {header: value}
        answer = world.client.request(by[operation], call.path, json=call.json, headers=sent)
        world.session.rollback()
        assert answer.status_code < 500, (operation, header, value, answer.text)
