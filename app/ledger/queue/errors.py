"""What the line refuses."""

from app.kernel.errors import Kind, NotFoundError, SpaceRelayError


class OthersFirstError(SpaceRelayError):
    """The space is free, but offered to companies that were in line before."""

    slug, title, kind = "others-first", "The space is offered to others in line", Kind.CONFLICT
    title_zh = "该空间正由排队在前的企业优先选择"


class AlreadyInLineError(SpaceRelayError):
    """The company waits for this space on some of these days already."""

    slug, title, kind = "already-in-line", "Already in line for this space", Kind.CONFLICT
    title_zh = "该企业已在排队"


class SpaceIsFreeError(SpaceRelayError):
    """Nobody has the space on these days, and nobody waits for it: there is no line."""

    slug, title, kind = "space-is-free", "The space is free", Kind.CONFLICT
    title_zh = "该空间目前可用，无需排队"


class AlreadyHeldError(SpaceRelayError):
    """The company has the space on some of these days itself."""

    slug, title, kind = "already-held", "The company has this space", Kind.CONFLICT
    title_zh = "该企业已占用该空间"


class LineLimitReachedError(SpaceRelayError):
    """The company waits in as many lines as one company may."""

    slug, title, kind = "line-limit-reached", "In too many lines", Kind.CONFLICT
    title_zh = "排队数量已达上限"


class LeftLineError(SpaceRelayError):
    """The entry left the line before."""

    slug, title, kind = "left-line", "Out of the line already", Kind.CONFLICT
    title_zh = "已不在队列中"


class NoSuchEntryError(NotFoundError):
    """There is no such entry, or it is not the caller's to see."""
