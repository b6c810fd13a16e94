"""What leases are refused beyond what the ledger refuses everyone."""

from app.kernel.errors import Kind, NotFoundError, SpaceRelayError


class NoLeaseTermsError(NotFoundError):
    """The lease stands, and nothing is recorded of its rent."""

    slug, title = "no-lease-terms", "No terms are recorded for this lease"
    title_zh = "该租约未登记租金条款"


class NoSuchBreakError(SpaceRelayError):
    """The lease's terms do not let this party end it on this day."""

    slug, title, kind = "no-such-break", "No break of the lease allows that", Kind.CONFLICT
    title_zh = "租约条款不允许此次提前解约"


class LeaseStillRunsError(SpaceRelayError):
    """Space cannot be handed back while the lease of it runs on."""

    slug, title, kind = "lease-still-runs", "The lease runs longer than that", Kind.CONFLICT
    title_zh = "租约尚未到期"


class LeaseHandedBackError(SpaceRelayError):
    """The space was handed back, so the lease cannot go on."""

    slug, title, kind = "lease-handed-back", "The space was handed back", Kind.CONFLICT
    title_zh = "空间已退租交还"


class LeaseNotHandedBackError(SpaceRelayError):
    """Space that the tenant still has cannot be cleared for the next."""

    slug, title, kind = "lease-not-handed-back", "The space was not handed back", Kind.CONFLICT
    title_zh = "空间尚未退租交还"


class WorksEndedError(SpaceRelayError):
    """There are no days left to take from the works."""

    slug, title, kind = "works-already-ended", "The works end no later than that", Kind.CONFLICT
    title_zh = "施工或停用期已结束"
