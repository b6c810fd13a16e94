"""A firm's endpoints: where it is told, of what, and with which secrets."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import case, func, select, true
from sqlalchemy.orm import Session

from app.database.paging import Page, PageRequest, Sort, fetch_page
from app.kernel.errors import Fault, InvalidInputError, Kind, NotFoundError, SpaceRelayError
from app.models.company import Company
from app.models.webhook import WebhookEndpoint
from app.security.actors import Actor, NotAllowedError, Role, Scope
from app.security.sealing import Sealer
from app.webhooks.addresses import Target, UrlRefusedError, parse_url
from app.webhooks.delivery import stop_deliveries
from app.webhooks.events import SUBSCRIBABLE, EventType
from app.webhooks.schemas import (
    WebhookEndpointChangeIn,
    WebhookEndpointIn,
    WebhookEndpointOut,
    WebhookRotateIn,
)
from app.webhooks.signing import new_secret, purpose
from app.webhooks.transport import Resolve, leads_inside

#: Endpoints a firm may have.
ENDPOINTS_MAX = 10


class EndpointLimitReachedError(SpaceRelayError):
    """The firm has as many endpoints as it may."""

    slug, title, kind = "webhook-endpoint-limit", "Too many webhook endpoints", Kind.CONFLICT
    title_zh = "回调地址数量已达上限"


class EndpointDisabledError(SpaceRelayError):
    """Nothing is sent to an endpoint that is disabled."""

    slug, title, kind = "webhook-endpoint-disabled", "The endpoint is disabled", Kind.CONFLICT
    title_zh = "该回调地址已停用"


@dataclass(frozen=True, slots=True)
class Rules:
    """What an installation needs to know about endpoints."""

    sealer: Sealer
    allow_loopback: bool
    hosts: Collection[str]
    resolve: Resolve


def firm_of(actor: Actor) -> UUID:
    """The firm whose webhooks these are; nobody but its keys with the scope may see them.

    Raises:
        NotAllowedError: staff, or a key without the scope.
    """
    actor.require_signed_in()
    if actor.company_id is None:
        raise NotAllowedError(
            "webhooks are a firm's own; call with the firm's key",
            detail_zh="回调由企业自行管理，请使用企业密钥调用",
        )
    actor.require_firm_scope_or_staff(Scope.WEBHOOKS_WRITE)
    return actor.company_id


def seen_by(actor: Actor) -> UUID | None:
    """Whose webhooks the caller may look at: a firm's own; None: everybody's, for administrators.

    Raises:
        NotAllowedError: other staff, or a key without the scope.
    """
    actor.require_signed_in()
    if actor.is_staff:
        actor.require_staff(Role.ADMIN)
        return None
    return firm_of(actor)


def create_endpoint(
    session: Session, actor: Actor, body: WebhookEndpointIn, rules: Rules, *, now: datetime
) -> tuple[WebhookEndpointOut, str]:
    """A new endpoint and its secret, which nobody is shown again.

    Raises:
        EndpointLimitReachedError: the firm has ten.
        InvalidInputError: nothing is sent to such a URL, or of such events.
    """
    company_id = firm_of(actor)
    _require_outside(_require_sound(body.url, body.events, rules), rules)
    # Whoever of the firm adds one waits here for the others, so that the count stays true.
    session.execute(
        select(Company.id).where(Company.id == company_id).with_for_update(key_share=True)
    )
    has = session.scalar(
        select(func.count())
        .select_from(WebhookEndpoint)
        .where(WebhookEndpoint.company_id == company_id)
    )
    if has is not None and has >= ENDPOINTS_MAX:
        raise EndpointLimitReachedError(
            f"the firm has {has} endpoints and may have {ENDPOINTS_MAX}; delete one",
            detail_zh=f"该企业已有 {has} 个回调地址，上限 {ENDPOINTS_MAX} 个；请先删除",
        )
    endpoint_id, secret = uuid4(), new_secret()
    made = WebhookEndpoint(
        id=endpoint_id,
        company_id=company_id,
        url=body.url,
        label=body.label,
        events=_sorted(body.events),
        enabled=True,
        secret_sealed=rules.sealer.seal(purpose(endpoint_id), secret.encode()),
        created_at=now,
        created_by=actor.label,
    )
    session.add(made)
    session.flush()
    return shown(made, now), secret


def seal_anew(session: Session, sealer: Sealer) -> int:
    """Seal with today's key what was sealed with earlier ones; returns of how many endpoints."""
    count = 0
    for one in session.scalars(
        select(WebhookEndpoint).order_by(WebhookEndpoint.id).with_for_update()
    ):
        name, before = purpose(one.id), (one.secret_sealed, one.previous_sealed)
        one.secret_sealed = sealer.anew(name, one.secret_sealed) or one.secret_sealed
        one.previous_sealed = sealer.anew(name, one.previous_sealed)
        count += before != (one.secret_sealed, one.previous_sealed)
    session.flush()
    return count


def get_endpoint(
    session: Session, actor: Actor, endpoint_id: UUID, *, now: datetime
) -> WebhookEndpointOut:
    """One of the firm's endpoints.

    Raises:
        NotFoundError: there is none, or it is another firm's.
    """
    return shown(seen_endpoint(session, actor, endpoint_id), now)


def list_endpoints(session: Session, actor: Actor, page: PageRequest, *, now: datetime) -> Page:
    """The firm's endpoints, oldest first."""
    company_id = seen_by(actor)
    endpoint = WebhookEndpoint.__table__.c
    query = select(
        endpoint.id,
        endpoint.company_id,
        endpoint.url,
        endpoint.label,
        endpoint.events,
        endpoint.enabled,
        endpoint.disabled_at,
        endpoint.disabled_reason,
        endpoint.verified_at,
        endpoint.failing_since,
        case((endpoint.previous_until > now, endpoint.previous_until)).label(
            "previous_secret_until"
        ),
        endpoint.created_at,
    ).where(true() if company_id is None else endpoint.company_id == company_id)
    order = [Sort(endpoint.created_at), Sort(endpoint.id)]
    return fetch_page(session, query, order=order, page=page, scope="webhook-endpoints")


def change_endpoint(
    session: Session,
    actor: Actor,
    endpoint_id: UUID,
    body: WebhookEndpointChangeIn,
    rules: Rules,
    *,
    now: datetime,
) -> WebhookEndpointOut:
    """Change where a firm is told, of what, or whether at all.

    Enabling ends a stop that came of failures. What happened meanwhile is not sent by itself: the
    firm asks for a replay since it was disabled.

    Raises:
        InvalidInputError: nothing is sent to such a URL, or of such events.
        NotFoundError: there is no such endpoint, or it is another firm's.
    """
    row = own_endpoint(session, actor, endpoint_id, lock=True)
    url, events = body.url or row.url, body.events
    target = _require_sound(url, events or [], rules)
    if url != row.url:
        _require_outside(target, rules)
        row.url, row.verified_at, row.failing_since = url, None, None
    if events is not None:
        row.events = _sorted(events)
    if body.label is not None:
        row.label = body.label
    if body.enabled is True and not row.enabled:
        row.enabled, row.disabled_at, row.disabled_reason = True, None, None
        row.failing_since = None
    if body.enabled is False and row.enabled:
        row.enabled, row.disabled_at, row.disabled_reason = False, now, "by_firm"
        stop_deliveries(session, row.id, now)
    session.flush()
    return shown(row, now)


def delete_endpoint(
    session: Session, actor: Actor, endpoint_id: UUID, *, now: datetime
) -> WebhookEndpointOut:
    """Delete an endpoint with its deliveries and their log; its events stay."""
    row = own_endpoint(session, actor, endpoint_id, lock=True)
    was = shown(row, now)
    session.delete(row)
    session.flush()
    return was


def rotate_secret(
    session: Session,
    actor: Actor,
    endpoint_id: UUID,
    body: WebhookRotateIn,
    rules: Rules,
    *,
    now: datetime,
) -> tuple[WebhookEndpointOut, str]:
    """A new secret; the one of now signs beside it for a while. One from before that ends."""
    row = own_endpoint(session, actor, endpoint_id, lock=True)
    secret = new_secret()
    if body.overlap_hours:
        row.previous_sealed = row.secret_sealed
        row.previous_until = now + timedelta(hours=body.overlap_hours)
    else:
        row.previous_sealed = row.previous_until = None
    row.secret_sealed = rules.sealer.seal(purpose(row.id), secret.encode())
    session.flush()
    return shown(row, now), secret


def own_endpoint(
    session: Session, actor: Actor, endpoint_id: UUID, *, lock: bool = False
) -> WebhookEndpoint:
    """The firm's own endpoint, to do something with.

    Raises:
        NotAllowedError: the caller is no firm with the scope.
        NotFoundError: there is none, or it is another firm's.
    """
    return _found(session, endpoint_id, firm_of(actor), lock=lock)


def seen_endpoint(session: Session, actor: Actor, endpoint_id: UUID) -> WebhookEndpoint:
    """An endpoint that the caller may look at.

    Raises:
        NotFoundError: there is none, or it is another firm's.
    """
    return _found(session, endpoint_id, seen_by(actor))


def _found(
    session: Session, endpoint_id: UUID, company_id: UUID | None, *, lock: bool = False
) -> WebhookEndpoint:
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id)
    if company_id is not None:
        query = query.where(WebhookEndpoint.company_id == company_id)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFoundError(
            "no such webhook endpoint, or it is not yours to see",
            detail_zh="没有该回调地址，或无权查看",
        )
    return row


def require_enabled(endpoint: WebhookEndpoint) -> None:
    """Refuse to send to an endpoint that is disabled.

    Raises:
        EndpointDisabledError: it is.
    """
    if not endpoint.enabled:
        raise EndpointDisabledError(
            'nothing is sent to a disabled endpoint; PATCH it with {"enabled": true} first',
            detail_zh='已停用的回调地址不再接收事件，请先 PATCH {"enabled": true}',
        )


def shown(row: WebhookEndpoint, now: datetime) -> WebhookEndpointOut:
    """An endpoint as its firm sees it."""
    until = row.previous_until
    return WebhookEndpointOut.model_validate(
        {
            name: getattr(row, name)
            for name in WebhookEndpointOut.model_fields
            if name != "previous_secret_until"
        }
        | {"previous_secret_until": until if until is not None and until > now else None}
    )


def _require_sound(url: str, events: list[EventType], rules: Rules) -> Target:
    try:
        target = parse_url(url, allow_loopback=rules.allow_loopback, hosts=rules.hosts)
    except UrlRefusedError as error:
        raise InvalidInputError(
            "nothing is sent to such a URL",
            [
                Fault(
                    "/url",
                    "https:// with a host's name on the internet, port 443, no user and no"
                    " fragment; where the operator lists the names that are sent to, one of these",
                    detail_zh="须为 https:// 加互联网域名（非内网域名），端口 443，"
                    "不含用户名与 # 片段；运营方限定域名的，须在其列",
                )
            ],
        ) from error
    if not set(events) <= set(SUBSCRIBABLE):
        raise InvalidInputError(
            "a test is sent when it is asked for",
            [
                Fault(
                    "/events",
                    "`ping` is not subscribed to; POST …/test sends one",
                    detail_zh="不能订阅 ping；请用 POST …/test 发送测试",
                )
            ],
        )
    return target


def _require_outside(target: Target, rules: Rules) -> None:
    """Refuse a name that leads inside some network, as far as that is known at once."""
    if leads_inside(rules.resolve, target):
        raise InvalidInputError(
            "nothing is sent to this name: it has an address inside some network",
            [
                Fault(
                    "/url",
                    "all addresses of the name must be on the internet",
                    detail_zh="该域名解析到内网或专用地址，须全部为互联网地址",
                )
            ],
        )


def _sorted(events: list[EventType]) -> list[str]:
    asked = set(events)
    return [one.value for one in SUBSCRIBABLE if one in asked]
