"""What the parts of the benchmark share: the flat table, the questions, and how rates are told."""

import http.client
import random
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import psycopg
from geoalchemy2 import Geometry
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    MetaData,
    Table,
    cast,
    func,
    insert,
    select,
    text,
)

from app.database.engine import Untouched
from app.database.roles import PUBLIC
from app.kernel.clock import civil_day
from app.kernel.terms import UnitType
from app.ogc.asked import Selection
from app.ogc.collection import When
from app.ogc.items import BY_PLACE_ALONE, Shape, find_statement, show_statement
from app.ogc.layers.units import UNITS
from benchmarks.gis.rivals import KEY, OUTLINE, SCHEMA, TABLE, Served

KINDS = (UnitType.ACCELERATION, UnitType.PILOT, UnitType.HQ_RD, UnitType.PRODUCTION)
LEAST_M2 = (300, 600, 1000)


@dataclass(frozen=True)
class Question:
    """A box, a kind of space and a least area: what every server can be asked."""

    box: tuple[float, float, float, float]
    kind: str
    least_m2: int

    def parameters(self, limit: int) -> dict[str, str]:
        """As every server takes them."""
        return {
            "bbox": ",".join(map(str, self.box)),
            "filter": f"unit_type = '{self.kind}' AND leasable_area_m2 >= {self.least_m2}",
            "limit": str(limit),
        }

    def path(self, limit: int) -> str:
        """As our server is asked."""
        return "/ogc/collections/units/items?" + urlencode(self.parameters(limit))


def questions(engine: Engine, count: int, seed: int, limit: int) -> list[Question]:
    """Seeded boxes that have enough for a full page of ``limit``, and at most ten of them.

    However large the park: so that pages are full and what matches can be counted.
    """
    chooser = random.Random(seed)  # noqa: S311 - repeatable, not secret
    west, south, east, north = extent(engine)
    made: list[Question] = []
    with engine.connect() as connection:
        while len(made) < count:
            part = 10 ** chooser.uniform(-2.5, 0)
            x = chooser.uniform(west, west + (east - west) * (1 - part))
            y = chooser.uniform(south, south + (north - south) * (1 - part))
            box = (x, y, x + (east - west) * part, y + (north - south) * part)
            west_, south_, east_, north_ = (round(side, 6) for side in box)
            kind, least = chooser.choice(KINDS).value, chooser.choice(LEAST_M2)
            question = Question((west_, south_, east_, north_), kind, least)
            if limit <= _matched(connection, question, 10 * limit) <= 10 * limit:
                made.append(question)
    return made


def _matched(connection: Connection, question: Question, most: int) -> int:
    """How many features of the flat table meet a question; one more than ``most``: more do."""
    met = (
        f"SELECT FROM {SCHEMA}.{TABLE} WHERE unit_type = :kind AND leasable_area_m2 >= :least"
        f" AND {OUTLINE} && ST_MakeEnvelope(:w, :s, :e, :n, 4326) LIMIT :most + 1"
    )
    values = {"kind": question.kind, "least": question.least_m2, "most": most}
    sides = dict(zip("wsen", question.box, strict=True))
    found: int = connection.execute(
        text(f"SELECT count(*) FROM ({met}) AS met"),  # noqa: S608
        values | sides,
    ).scalar_one()
    return found


def extent(engine: Engine) -> tuple[float, float, float, float]:
    """West, south, east and north of all units, degrees."""
    with engine.connect() as connection:
        sides = connection.execute(
            text(
                "SELECT ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e)"
                " FROM (SELECT ST_Extent(geom) AS e FROM units) AS together"
            )
        ).one()
    return sides[0], sides[1], sides[2], sides[3]


def now() -> datetime:
    """The present."""
    return datetime.now(UTC)


def today() -> When:
    """What our server shows when no day is asked about."""
    day = civil_day(now())
    return When(day, day + timedelta(days=1))


def make_flat_table(engine: Engine) -> int:
    """The table that the rivals serve: our own properties, worked out once; returns its rows."""
    selection = Selection.of(UNITS, today())
    fields = UNITS.fields
    flat = Table(
        TABLE,
        MetaData(schema=SCHEMA),
        Column(KEY, BigInteger, primary_key=True, autoincrement=False),
        *(Column(name, one.kind.sql_type) for name, one in fields.items()),
        Column(OUTLINE, Geometry("POLYGON", srid=4326, spatial_index=True)),
        Index(None, "unit_type", "leasable_area_m2"),
    )
    columns = [
        selection.rows.key,
        *(cast(one.expression, one.kind.sql_type) for one in fields.values()),
        selection.rows.outline,
    ]
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        flat.create(connection)
        connection.execute(insert(flat).from_select(flat.c.keys(), selection.select(*columns)))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"VACUUM ANALYZE {SCHEMA}.{TABLE}")
        return connection.execute(select(func.count()).select_from(flat)).scalar_one()


@dataclass(frozen=True)
class Compared:
    """The servers over one database, and for how long each is asked.

    At ``forgetful`` is a server of ours that keeps no features as they were written.
    """

    engine: Engine
    url: str
    port: int
    forgetful: int
    tipg: Served
    pygeoapi: Served
    rounds: int
    seconds: float


Ask = Callable[[int], bytes]


@dataclass
class Side:
    """One server or the database itself: asks the question of a number, over one connection."""

    name: str
    connect: Callable[[], Ask]
    per_second: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)


def over_http(port: int, paths: Sequence[str]) -> Ask:
    """Asks for one of these paths over one kept-alive connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def ask(number: int) -> bytes:
        path = paths[number % len(paths)]
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
        except http.client.RemoteDisconnected:  # nobody asked for a while
            connection.close()
            connection.request("GET", path)
            answer = connection.getresponse()
        body = answer.read()
        if answer.status not in {http.client.OK, http.client.NO_CONTENT}:
            raise RuntimeError(f"{answer.status} {path} {body[:500]!r}")
        return body

    return ask


def raw(url: str, pages: Sequence[tuple[Selection, Shape]]) -> Ask:
    """Runs what our server runs for a page over one connection, as the role that answers all."""
    connection = psycopg.connect(
        url.replace("postgresql+psycopg://", "postgresql://", 1), autocommit=True
    )
    connection.execute("SET plan_cache_mode = 'force_custom_plan'; SET jit = off")
    connection.execute(f"SET ROLE {PUBLIC}".encode())
    showing = connection.cursor()
    showing.adapters.register_loader("text", Untouched)
    finding = [find_statement(*page, counting=True) for page in pages]

    def ask(number: int) -> bytes:
        selection, shape = pages[number % len(pages)]
        find = finding[number % len(pages)]
        with connection.transaction():
            if selection.boxed:
                connection.execute(BY_PLACE_ALONE)
            found = connection.execute(find.text.encode(), dict(find.values)).fetchone()
            if found is None or found[2] > selection.collection.counted:
                raise ValueError("the questions are such that what matches can be counted")
            if not found[0]:
                return b""
            show = show_statement(selection, shape, found[0])
            shown = showing.execute(show.text.encode(), dict(show.values)).fetchone()
        return b"" if shown is None else bytes(shown[0])

    return ask


def measure(sides: Sequence[Side], asked: int, clients: int, rounds: int, seconds: float) -> None:
    """Let the sides answer in turns, ``clients`` at once, and keep what each of them did."""
    for side in sides:
        side.per_second.clear()
        side.milliseconds.clear()
    for _ in range(rounds):
        for side in sides:
            per_second, took = _rate(side.connect, asked, clients, seconds)
            side.per_second.append(per_second)
            side.milliseconds.extend(took)


def ratio(one: Side, other: Side) -> float:
    """How many times as many answers one side gave as the other: the median of the rounds."""
    return statistics.median(
        a / b for a, b in zip(one.per_second, other.per_second, strict=True) if b
    )


def line(side: Side, against: Mapping[str, float] | None = None) -> str:
    """Rate and times of a side, and its ratios to others."""
    told = "  ".join(f"{name} {value:6.2f}" for name, value in (against or {}).items())
    return (
        f"    {side.name:<12} {statistics.median(side.per_second):8.1f}/s"
        f"  p50 {_percentile(side.milliseconds, 50):8.1f}"
        f"  p99 {_percentile(side.milliseconds, 99):8.1f} ms  {told}"
    )


def _rate(
    connect: Callable[[], Ask], asked: int, clients: int, seconds: float
) -> tuple[float, list[float]]:
    took: list[float] = []
    failed: list[Exception] = []
    askers = [connect() for _ in range(clients)]
    for ask in askers:  # connections and caches are warm
        ask(0)
    began = time.perf_counter()
    deadline = began + seconds

    def work(ask: Ask, number: int) -> None:
        try:
            while (started := time.perf_counter()) < deadline:
                ask(number)
                took.append((time.perf_counter() - started) * 1000)
                number += 1
        except Exception as error:  # noqa: BLE001 - a thread's failure is told by the one who waits
            failed.append(error)

    threads = [
        threading.Thread(target=work, args=(ask, i * asked // clients))
        for i, ask in enumerate(askers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return len(took) / (time.perf_counter() - began), took


def _percentile(values: Sequence[float], percent: int) -> float:
    if len(values) < 2:
        return values[0] if values else float("nan")
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
