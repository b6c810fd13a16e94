"""What is asked of space, in the words of the constraint table. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from app.demand.rules import SpaceTerms
from app.kernel.terms import FacilityType, UnitType


@dataclass(frozen=True, slots=True)
class Window:
    """The lease starts on ``start`` or later, on ``latest`` at the latest, for ``term_months``."""

    start: date
    latest: date
    term_months: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What the pipeline says will be needed next: a kind of space, how much of it, from when."""

    unit_type: UnitType
    area_m2: float
    from_day: date
    words_zh: str
    words_en: str


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of space.

    Attributes:
        hard, soft: keys of the constraint table to needs. ``hard`` always has ``unit_type`` and
            ``availability`` (a ``Window``).
        window: the days.
        terms: what is usual for the kind of space; bounds the rent criterion.
        rules_version: of every table that had a say.
        target_area_m2: aimed at; scores, never refuses.
        weights: hundredths by criterion, summing to 100; empty means the default set.
        growth: what comes next; None where no pipeline says so.
        unchecked: needs that no column of a unit answers yet.
    """

    hard: Mapping[str, Any]
    soft: Mapping[str, Any]
    window: Window
    terms: SpaceTerms
    rules_version: str
    target_area_m2: float | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    growth: Growth | None = None
    unchecked: tuple[str, ...] = ()

    @property
    def asked(self) -> Mapping[str, Any]:
        """Everything asked, hard or soft; a hard need covers a soft one of the same key."""
        return {**self.soft, **self.hard}

    @property
    def facilities(self) -> list[FacilityType]:
        """Facility types whose distance matters."""
        return [one for one in FacilityType if f"max_{one.value}_distance_m" in self.asked]
