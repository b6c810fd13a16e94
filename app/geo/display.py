"""GeoJSON as a map in another datum shows it: drawn there, measured nowhere."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from app.geo.datums import from_wgs84
from app.kernel.terms import SourceDatum

#: The member of an answer that says which datum its coordinates are in.
MEMBER = "datum"
#: Decimal places of degrees, as in every answer: about a centimetre.
_DECIMALS = 7


def in_datum(document: bytes, datum: SourceDatum) -> bytes:
    """A Feature or FeatureCollection in WGS 84 with its coordinates as ``datum`` has them.

    The document says so in its member ``datum``. Properties stay as they are: areas and distances
    are those on the ground. What WGS 84 and CGCS2000 share is passed on as it came.
    """
    if datum in {SourceDatum.WGS84, SourceDatum.CGCS2000}:
        return document
    read: dict[str, Any] = orjson.loads(document)
    places = [at for feature in read.get("features", [read]) for at in _positions(feature)]
    if places:
        moved = np.round(from_wgs84(np.array(places), datum), _DECIMALS).tolist()
        for place, there in zip(places, moved, strict=True):
            place[:] = there
    return orjson.dumps(read | {MEMBER: datum.value})


def _positions(feature: dict[str, Any]) -> Iterator[list[float]]:
    """Longitude and latitude of every corner of a feature, to be changed in place."""
    waiting = [(feature["geometry"] or {}).get("coordinates", [])]
    while waiting:
        value = waiting.pop()
        if value and isinstance(value[0], float | int):
            yield value
        else:
            waiting.extend(value)
