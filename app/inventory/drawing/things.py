"""What is drawn, what was written of it, and the feature that it is drawn upon."""

from dataclasses import dataclass
from uuid import UUID

from shapely.geometry.base import BaseGeometry
from sqlalchemy import RowMapping

from app.inventory.drawing.domains import Words
from app.inventory.drawing.layers import Layer
from app.inventory.drawing.rules import Known
from app.kernel.terms import SourceDatum


@dataclass(frozen=True, slots=True)
class Outline:
    """An outline that a person has drawn, in degrees (WGS 84).

    ``within_m`` is how far its corners may be from those that were meant, by rounding. ``stated``:
    the person said in which datum it was drawn. ``hint`` is what to say if it lies far out: how its
    coordinates may have been meant.
    """

    shape: BaseGeometry
    within_m: float
    datum: SourceDatum = SourceDatum.WGS84
    stated: bool = False
    hint: Words | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was written. ``trimmed_m2`` was cut off or closed up, so that it fits."""

    id: UUID
    fid: int
    code: str
    park_id: UUID | None
    trimmed_m2: float = 0.0


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature that is locked until the transaction ends, with the ground that it lies in.

    ``within`` is the code of that, which has perhaps no outline.
    """

    layer: Layer
    row: RowMapping
    shape: BaseGeometry | None
    ground: Known | None
    within: str | None

    @property
    def park_id(self) -> UUID | None:
        """The park that it is of, or is; None: a zone."""
        if self.layer.id == "parks":
            park_id: UUID = self.row["id"]
            return park_id
        return self.row.get("park_id")
