"""What the standards want said of a question that cannot be answered."""

from collections.abc import Collection
from difflib import get_close_matches

from app.kernel.errors import Fault, InvalidInputError, Kind, SpaceRelayError

#: Headers that are read as parameters are.
_HEADERS = frozenset({"Content-Crs", "Content-Type"})


class BadParameterError(InvalidInputError):
    """A parameter of an OGC API call is unknown or cannot be read: 400, as the standards ask."""

    slug, title, kind = "bad-parameter", "A parameter cannot be used", Kind.MALFORMED
    title_zh = "请求参数无效"


class UnsupportedMediaTypeError(SpaceRelayError):
    """The body is written in a way that is not read here."""

    slug, title = "unsupported-media-type", "The body is written in a way that is not read"
    title_zh, kind = "不支持的正文格式", Kind.UNSUPPORTED


class NotDrawnError(SpaceRelayError):
    """The collection cannot be drawn in, or not in this way."""

    slug, title, kind = "method-not-allowed", "Method Not Allowed", Kind.NOT_OFFERED
    title_zh = "该地址不支持此方法"


def bad_parameter(name: str, detail: str, detail_zh: str) -> BadParameterError:
    """The error that names one parameter or header, the rule it breaks and the way out."""
    where = "header" if name in _HEADERS else "query"
    return BadParameterError(f"{name}: {detail}", [Fault(name, detail, where, detail_zh)])


def no_such_parameter(
    name: str, listed: Collection[str], properties: Collection[str] = ()
) -> BadParameterError:
    """The error that names a parameter that is unknown, what it may have been, and what there is.

    The ``properties``, which may be many, are also taken but not listed.
    """
    near = get_close_matches(name.lower(), [*listed, *properties], n=2)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    meant_zh = f"，是否指 {' 或 '.join(near)}？" if near else ""
    there_are = ", ".join(sorted(listed))
    further = " and the properties that `queryables` lists" if properties else ""
    further_zh = "，以及 queryables 所列各属性" if properties else ""
    return bad_parameter(
        name[:100],
        f"there is no such parameter{meant} There are {there_are}{further}"
        if near
        else f"there is no such parameter; there are {there_are}{further}",
        f"没有此参数{meant_zh or '，'}可用的有 {there_are}{further_zh}",
    )
