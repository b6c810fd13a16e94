"""Reads CQL2 JSON into the same tree as text."""

import json
from decimal import Decimal

from app.ogc.cql2.tree import (
    MAX_DEPTH,
    Builder,
    Node,
    Place,
    day_in,
    day_or_instant,
    instant_in,
    require_length,
    too_deep,
)


def read_json(text: str, parameter: str) -> Node:
    """The tree of a filter in CQL2 JSON.

    Raises:
        BadParameterError: it is none, or too large.
    """
    require_length(parameter, text)
    try:
        document = json.loads(
            text, parse_int=Decimal, parse_float=Decimal, parse_constant=_no_number
        )
    except RecursionError:
        raise too_deep(Place(parameter)) from None
    except json.JSONDecodeError as error:
        raise Place(parameter, error.pos).refused(
            f"this is no JSON: {error.msg}; for text say filter-lang=cql2-text",
            f"不是有效的 JSON（{error.msg}）；若为文本请用 filter-lang=cql2-text",
        ) from None
    except ValueError as error:
        raise Place(parameter).refused(str(error), "不是有效的 JSON 数值") from None
    return _Reader(parameter).node(document, "")


class _Reader:
    def __init__(self, parameter: str) -> None:
        self._parameter = parameter
        self._make = Builder()

    def node(self, value: object, pointer: str, depth: int = 1) -> Node:
        place = Place(self._parameter, pointer)
        if depth > MAX_DEPTH:
            raise too_deep(place)
        match value:
            case bool() | Decimal() | str():
                return self._make.literal(place, value)
            case list():
                return self._make.listed(place, self._nodes(value, pointer, depth))
            case {"op": str(operator), "args": list(arguments)}:
                nodes = self._nodes(arguments, f"{pointer}/args", depth)
                return self._make.call(place, operator, nodes)
            case None:
                raise place.refused(
                    'nothing equals null; write {"op": "isNull", "args": [...]}',
                    'null 不能参与比较，请用 {"op": "isNull", "args": [...]}',
                )
        return self._object(value, place, pointer)

    def _object(self, value: object, place: Place, pointer: str) -> Node:
        match value:
            case {"property": str(name)}:
                return self._make.property(place, name)
            case {"date": str(said)}:
                return self._make.literal(place, day_in(place, said))
            case {"timestamp": str(said)}:
                return self._make.literal(place, instant_in(place, said))
            case {"interval": [start, end]}:
                return self._make.interval(
                    place,
                    self._end_of_interval(start, f"{pointer}/interval/0"),
                    self._end_of_interval(end, f"{pointer}/interval/1"),
                )
            case dict(members) if "type" in members or "bbox" in members:
                return self._make.drawn(place, members)
        raise place.refused(
            'expected a value, {"op": …, "args": […]}, {"property": …}, {"date": …},'
            ' {"timestamp": …}, {"interval": […]}, {"bbox": […]} or a GeoJSON geometry',
            '应为值、{"op": …, "args": […]}、{"property": …}、{"date": …}、{"timestamp": …}、'
            '{"interval": […]}、{"bbox": […]} 或 GeoJSON 几何图形',
        )

    def _nodes(self, values: list[object], pointer: str, depth: int) -> list[Node]:
        return [
            self.node(value, f"{pointer}/{index}", depth + 1) for index, value in enumerate(values)
        ]

    def _end_of_interval(self, value: object, pointer: str) -> Node | None:
        if value == "..":
            return None
        if isinstance(value, str):
            place = Place(self._parameter, pointer)
            return self._make.literal(place, day_or_instant(place, value))
        return self.node(value, pointer)


def _no_number(name: str) -> object:
    message = f"{name} is no number in JSON"
    raise ValueError(message)
