"""Firms' webhooks over HTTP: endpoints, secrets, tests, what was sent, and sending it again."""

import json
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Request, Response
from pydantic import Field

from app.kernel.errors import InvalidInputError, NotFoundError
from app.routers.dependencies import (
    JSON,
    ActorDep,
    ChangesPaging,
    ClockDep,
    IdPath,
    Paging,
    Query,
    SessionDep,
    WriterDep,
)
from app.routers.problems import problems
from app.routers.shown_once import write_shown_once
from app.routers.versions import shown_alone
from app.security.actors import NotAllowedError, NotSignedInError
from app.webhooks import endpoints, log
from app.webhooks.endpoints import EndpointDisabledError, EndpointLimitReachedError, Rules
from app.webhooks.events import MESSAGES, EventType
from app.webhooks.schemas import (
    WebhookDeliveryOut,
    WebhookDeliveryPage,
    WebhookEndpointChangeIn,
    WebhookEndpointIn,
    WebhookEndpointOut,
    WebhookEndpointPage,
    WebhookEndpointSecretOut,
    WebhookEventPage,
    WebhookReplayIn,
    WebhookReplayOut,
    WebhookRotateIn,
)
from app.webhooks.transport import resolve

router = APIRouter(prefix="/api/v1/webhook-endpoints", tags=["webhooks"])
events_router = APIRouter(prefix="/api/v1/webhook-events", tags=["webhooks"])
#: What firms are sent: documented under `webhooks` of the OpenAPI document, served nowhere.
sent = APIRouter(tags=["webhooks"])

_KNOWN = (NotSignedInError, NotAllowedError)
_OF_ONE = problems(*_KNOWN, NotFoundError)


def get_rules(request: Request) -> Rules:
    """What this installation needs to know about endpoints."""
    state = request.app.state
    of = state.settings
    return Rules(state.sealer, of.webhook_allow_loopback, of.webhook_hosts, resolve)


RulesDep = Annotated[Rules, Depends(get_rules)]


class EventFilters(ChangesPaging):
    """What to list."""

    event: EventType | None = Field(default=None, description="of this kind")


@router.post(
    "",
    status_code=201,
    response_model=WebhookEndpointSecretOut,
    responses=problems(InvalidInputError, *_KNOWN, EndpointLimitReachedError),
)
def create_webhook_endpoint(
    body: WebhookEndpointIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    rules: RulesDep,
    write: WriterDep,
) -> Response:
    """Be told of events (登记回调地址). The answer holds the secret that signs, once.

    Deliveries follow Standard Webhooks: verify `webhook-signature` with any of its libraries.
    """

    def work() -> tuple[WebhookEndpointOut, dict[str, str]]:
        made, secret = endpoints.create_endpoint(session, actor, body, rules, now=clock.now())
        return made, {"secret": secret}

    return write_shown_once(
        write, work, location=lambda made: f"/api/v1/webhook-endpoints/{made.id}"
    )


@router.get("", response_model=WebhookEndpointPage, responses=problems(InvalidInputError, *_KNOWN))
def list_webhook_endpoints(
    page: Annotated[Paging, Query()], session: SessionDep, actor: ActorDep, clock: ClockDep
) -> Response:
    """The firm's endpoints (回调地址清单), oldest first, with how they fare; never a secret."""
    found = endpoints.list_endpoints(session, actor, page.page(geojson=False), now=clock.now())
    return Response(found.as_items(), media_type=JSON)


@router.get("/{endpoint_id}", responses=_OF_ONE)
@shown_alone
def get_webhook_endpoint(
    endpoint_id: IdPath, session: SessionDep, actor: ActorDep, clock: ClockDep
) -> WebhookEndpointOut:
    """One endpoint: whether it is verified, failing or disabled, and since when."""
    return endpoints.get_endpoint(session, actor, endpoint_id, now=clock.now())


@router.patch(
    "/{endpoint_id}",
    response_model=WebhookEndpointOut,
    responses=problems(InvalidInputError, *_KNOWN, NotFoundError),
)
def change_webhook_endpoint(
    endpoint_id: IdPath,
    body: WebhookEndpointChangeIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    rules: RulesDep,
    write: WriterDep,
) -> Response:
    """Change an endpoint (变更回调地址): its URL, its events, whether it is enabled.

    What happened while it was disabled is not sent by itself; replay it since `disabled_at`.
    """
    return write(
        lambda: endpoints.change_endpoint(
            session, actor, endpoint_id, body, rules, now=clock.now()
        ),
        status=200,
    )


@router.delete("/{endpoint_id}", response_model=WebhookEndpointOut, responses=_OF_ONE)
def delete_webhook_endpoint(
    endpoint_id: IdPath, session: SessionDep, actor: ActorDep, clock: ClockDep, write: WriterDep
) -> Response:
    """Delete an endpoint (删除回调地址) with the log of its deliveries. Its events stay."""
    return write(
        lambda: endpoints.delete_endpoint(session, actor, endpoint_id, now=clock.now()),
        status=200,
    )


@router.post(
    "/{endpoint_id}/rotate-secret",
    status_code=200,
    response_model=WebhookEndpointSecretOut,
    responses=_OF_ONE,
)
def rotate_webhook_secret(
    endpoint_id: IdPath,
    *,
    body: Annotated[WebhookRotateIn | None, Body()] = None,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    rules: RulesDep,
    write: WriterDep,
) -> Response:
    """Give an endpoint a new secret (轮换签名密钥), shown in this answer alone.

    Both sign for the overlap, a day unless told: each delivery carries two signatures.
    """

    def work() -> tuple[WebhookEndpointOut, dict[str, str]]:
        made, secret = endpoints.rotate_secret(
            session, actor, endpoint_id, body or WebhookRotateIn(), rules, now=clock.now()
        )
        return made, {"secret": secret}

    return write_shown_once(write, work, status=200)


@router.post(
    "/{endpoint_id}/test",
    status_code=200,
    response_model=WebhookDeliveryOut,
    responses=problems(*_KNOWN, NotFoundError, EndpointDisabledError),
)
def try_webhook_endpoint(
    endpoint_id: IdPath, session: SessionDep, actor: ActorDep, write: WriterDep
) -> Response:
    """Send a `ping` (发送测试) and answer with what came of it.

    `attempts` is empty where no sender took it within two seconds; it is still sent, and
    `…/deliveries` tells the rest.
    """
    response = write(lambda: log.send_test(session, actor, endpoint_id), status=200)
    delivery_id = UUID(json.loads(bytes(response.body))["id"])
    found = log.await_outcome(session, delivery_id)
    response.body = found.model_dump_json().encode()
    response.headers["content-length"] = str(len(response.body))
    return response


@router.get(
    "/{endpoint_id}/deliveries",
    response_model=WebhookDeliveryPage,
    responses=problems(InvalidInputError, *_KNOWN, NotFoundError),
)
def list_webhook_deliveries(
    endpoint_id: IdPath, page: Annotated[Paging, Query()], session: SessionDep, actor: ActorDep
) -> Response:
    """What was sent to an endpoint (投递记录), newest first, with every attempt and its answer."""
    found = log.list_deliveries(session, actor, endpoint_id, page.page(geojson=False))
    return Response(found.as_items(), media_type=JSON)


@router.post(
    "/{endpoint_id}/replay",
    status_code=202,
    response_model=WebhookReplayOut,
    responses=problems(InvalidInputError, *_KNOWN, NotFoundError, EndpointDisabledError),
)
def replay_webhook_events(
    endpoint_id: IdPath,
    body: WebhookReplayIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    write: WriterDep,
) -> Response:
    """Send one event again, or all since an instant (重放事件), with the same `webhook-id`."""
    return write(lambda: log.replay(session, actor, endpoint_id, body, now=clock.now()), status=202)


@events_router.get(
    "", response_model=WebhookEventPage, responses=problems(InvalidInputError, *_KNOWN)
)
def list_webhook_events(
    filters: Annotated[EventFilters, Query()], session: SessionDep, actor: ActorDep
) -> Response:
    """What the firm was told (事件记录), newest first, also where no endpoint listened."""
    found = log.list_events(session, actor, filters.page(geojson=False), event=filters.event)
    return Response(found.as_items(), media_type=JSON)


def _document(event: EventType) -> None:
    """Add an event to what firms are sent."""

    def told(
        body: object,
        webhook_id: Annotated[str, Header(description="the event's; the same when sent again")],
        webhook_timestamp: Annotated[int, Header(description="when it was sent, Unix seconds")],
        webhook_signature: Annotated[
            str, Header(description="`v1,` and base64 of HMAC-SHA256 over id.timestamp.body")
        ],
    ) -> None:
        pass

    told.__annotations__["body"] = MESSAGES[event]
    sent.add_api_route(
        event.value,
        told,
        methods=["POST"],
        name=f"told_{event.value.replace('.', '_')}",
        summary=f"{event.en} {event.zh}",
        description="Answer 2xx within five seconds; anything else is sent again.",
        status_code=204,
    )


for _event in EventType:
    _document(_event)
