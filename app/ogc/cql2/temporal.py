"""How two intervals stand to each other: the temporal functions of CQL2.

Both ends belong to an interval; a date or instant alone is an interval whose ends are the same.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, or_

End = ColumnElement[Any]
Relation = Callable[[End, End, End, End], ColumnElement[bool]]

#: Of the start and end of the first, and the start and end of the second.
RELATIONS: Mapping[str, Relation] = {
    "t_after": lambda start, _end, _other_start, other_end: start > other_end,
    "t_before": lambda _start, end, other_start, _other_end: end < other_start,
    "t_contains": lambda start, end, other_start, other_end: and_(
        start < other_start, end > other_end
    ),
    "t_disjoint": lambda start, end, other_start, other_end: or_(
        end < other_start, start > other_end
    ),
    "t_during": lambda start, end, other_start, other_end: and_(
        start > other_start, end < other_end
    ),
    "t_equals": lambda start, end, other_start, other_end: and_(
        start == other_start, end == other_end
    ),
    "t_finishedby": lambda start, end, other_start, other_end: and_(
        start < other_start, end == other_end
    ),
    "t_finishes": lambda start, end, other_start, other_end: and_(
        start > other_start, end == other_end
    ),
    "t_intersects": lambda start, end, other_start, other_end: and_(
        start <= other_end, end >= other_start
    ),
    "t_meets": lambda _start, end, other_start, _other_end: end == other_start,
    "t_metby": lambda start, _end, _other_start, other_end: start == other_end,
    "t_overlappedby": lambda start, end, other_start, other_end: and_(
        start > other_start, start < other_end, end > other_end
    ),
    "t_overlaps": lambda start, end, other_start, other_end: and_(
        start < other_start, end > other_start, end < other_end
    ),
    "t_startedby": lambda start, end, other_start, other_end: and_(
        start == other_start, end > other_end
    ),
    "t_starts": lambda start, end, other_start, other_end: and_(
        start == other_start, end < other_end
    ),
}
