"""What the standards want said of a question that cannot be answered."""

from app.kernel.errors import Fault, InvalidInputError, Kind


class BadParameterError(InvalidInputError):
    """A parameter of an OGC API call is unknown or cannot be read: 400, as the standards ask."""

    slug, title, kind = "bad-parameter", "A parameter cannot be used", Kind.MALFORMED
    title_zh = "请求参数无效"


def bad_parameter(name: str, detail: str, detail_zh: str) -> BadParameterError:
    """The error that names one query parameter, the rule it breaks and the way out."""
    return BadParameterError(f"{name}: {detail}", [Fault(name, detail, "query", detail_zh)])
