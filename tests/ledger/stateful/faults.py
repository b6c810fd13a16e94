"""Faults to plant in the ledger: small, likely slips, in its Python and in its SQL."""

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.ledger import commitments, holds, leases, orders, writing
from app.ledger.units import changing, merging, promises, splitting

_MODULES = (
    *(commitments, holds, leases, orders, writing),
    *(changing, merging, promises, splitting),
)


@dataclass(frozen=True)
class InPython:
    """A function with some of its text replaced, wherever the ledger knows it by name."""

    module: ModuleType
    function: str
    right: str
    wrong: str

    def plant(self, _engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        source = textwrap.dedent(inspect.getsource(getattr(self.module, self.function)))
        assert self.right in source, f"{self.function} has changed: {self.right!r} is gone"
        names: dict[str, Any] = dict(vars(self.module))
        code = compile(source.replace(self.right, self.wrong), f"<{self.function}>", "exec")
        exec(code, names)  # noqa: S102  (our own source, with a slip in it)
        original: Callable[..., Any] = getattr(self.module, self.function)
        for module in _MODULES:
            if getattr(module, self.function, None) is original:
                monkeypatch.setattr(module, self.function, names[self.function])


@dataclass(frozen=True)
class InSql:
    """A function of the database with some of its text replaced."""

    function: str
    right: str
    wrong: str

    def plant(self, engine: Engine, _monkeypatch: pytest.MonkeyPatch) -> None:
        with engine.begin() as connection:
            source = connection.scalar(
                text("SELECT pg_get_functiondef(CAST(:name AS regprocedure))"),
                {"name": self.function},
            )
            assert source is not None
            assert self.right in source, f"{self.function} has changed: {self.right!r} is gone"
            connection.exec_driver_sql(source.replace(self.right, self.wrong).replace("%", "%%"))


_FREE_DAYS = "free_days(uuid, numeric, daterange, numeric, timestamptz)"

IN_PROMISES: dict[str, InPython | InSql] = {
    "a full unit counts as too small": InSql(
        _FREE_DAYS, "used > the_capacity - need", "used >= the_capacity - need"
    ),
    "expired holds still bind": InSql(_FREE_DAYS, "live @> as_of", "lower(live) <= as_of"),
    "the last day is not free": InSql(
        _FREE_DAYS, "SELECT upper(period),", "SELECT upper(period) + 1,"
    ),
    "the sum counts, not the peak": InSql(
        _FREE_DAYS, "-quantity", "-quantity * (quantity > 1000)::int"
    ),
    "an expired hold can be confirmed": InPython(
        holds, "_require_live_hold", "if not is_live(line, now):", "if False:"
    ),
    "a released hold leaves its clearing": InPython(
        holds, "release_hold", "held.all_lines", "held.lines"
    ),
    "a lease lets go of its clearing": InPython(
        holds, "confirm_hold", "for line in held.all_lines", "for line in held.lines"
    ),
    "an extension counts from now": InPython(
        holds, "extend_hold", "expires_at + timedelta(hours=hours)", "now + timedelta(hours=hours)"
    ),
    "a lease ends a day late": InPython(
        leases,
        "_cut_short",
        "cut = Range(line.period.lower, on)",
        "cut = Range(line.period.lower, on + timedelta(days=1))",
    ),
    "nothing is cleared after an early end": InPython(
        leases, "terminate_lease", "*clearing_rows(actor, made, had, after, live)", ""
    ),
    "a bundle forgets its last unit": InPython(
        writing, "promise", "insert_claims(session, rows)", "insert_claims(session, rows[:2])"
    ),
    "slivers may stay": InPython(orders, "require_lettable_remainder", "if not parts:", "if True:"),
}

IN_UNITS: dict[str, InPython | InSql] = {
    "a split leaves the second half free": InPython(
        splitting, "_moves", "for child in takes:", "for child in takes[:1]:"
    ),
    "a split forgets the days before it": InPython(
        splitting, "_moves", "if earlier is not None:", "if False:"
    ),
    "an ended unit stays usable": InPython(
        splitting, "ended", "usable = Range(unit.usable.lower, day)", "usable = unit.usable"
    ),
    "a merger takes what two promises have": InPython(
        merging,
        "_moves",
        "if claim.line.claim_id not in going:",
        "if claim.line.claim_id not in going and not claim.line.whole:",
    ),
    "a larger room is let in its old size": InPython(
        promises, "resized", "line.whole and capacities", "False and capacities"
    ),
    "old sizes are forgotten": InSql(
        "stepped_free_days(uuid, numeric, daterange, daterange, numeric, timestamptz)",
        "the_capacity - capacity",
        "0 * capacity",
    ),
}
