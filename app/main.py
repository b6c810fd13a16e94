"""The application: routers, problem handlers, middleware, and what lives as long as it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import Semaphore
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline
from sqlalchemy import Engine

from app.database.session import session_factory
from app.demand.rules import load_rules
from app.kernel.clock import Clock, SystemClock
from app.matching.snapshots.source import Followed
from app.ogc.kept_features import KeptFeatures
from app.ogc.tiles.kept import KeptTiles
from app.routers import (
    applications,
    approvals,
    audit,
    buildings,
    claims,
    companies,
    contacts,
    facilities,
    floors,
    former_features,
    free_space,
    health,
    holds,
    keys,
    kpis,
    lease_money,
    leases,
    match_rules,
    matches,
    oauth,
    parcels,
    parks,
    problems,
    programmes,
    queue,
    rights,
    sandbox,
    session,
    space_requests,
    staff,
    tenancy_lists,
    unit_events,
    units,
    vocabulary,
    webhooks,
    works,
    zones,
)
from app.routers.dependencies import GATE_PLACES, STATUS_PLACES
from app.routers.document import describe_by, serve_document
from app.routers.methods import Methods, OwnMethods
from app.routers.middleware import LimitBody, Observe
from app.routers.ogc import downloads, editing, features, landing, tiles
from app.routers.ogc.asked_tiles import AskedTiles, AtHand
from app.routers.ogc.serving import crses_of, other_methods
from app.routers.ogc.told import Told
from app.routers.rates import Throttle
from app.routers.transport import InsistOnTls, insists_on_tls
from app.routers.versions import Shown
from app.security.oauth.signing import Published
from app.security.sealing import Sealer
from app.security.staff.oidc import OidcConfig, Provider
from app.security.staff.passwords import Passwords
from app.security.staff.policy import StaffPolicy
from app.security.staff.sign_in import Gate
from app.seeding.sandbox import POOL_SIZE as SANDBOX_POOL_SIZE
from app.seeding.sandbox import Sandbox
from app.settings import Settings

DESCRIPTION = """
知道园区里的每一平方米，在合适的时间把合适的企业放进去。

Knows every square metre of an industrial park, and puts the right company into it at the right
time. Periods are half-open Shanghai civil days (`until` is the first day *not* included); areas
are m², loads kN/m², rents 元/㎡·天; geometries are RFC 7946 (longitude, latitude). Errors are RFC
9457 problem documents. Send an `Idempotency-Key` with every POST that writes.
"""

ROUTERS = (
    health.router,
    zones.router,
    parks.router,
    parcels.router,
    programmes.router,
    buildings.router,
    floors.router,
    former_features.router,
    units.router,
    unit_events.router,
    facilities.router,
    vocabulary.router,
    companies.router,
    contacts.router,
    space_requests.router,
    free_space.router,
    holds.router,
    queue.router,
    leases.router,
    lease_money.router,
    tenancy_lists.router,
    works.router,
    approvals.router,
    audit.router,
    claims.router,
    kpis.router,
    rights.router,
    session.router,
    staff.router,
    matches.router,
    match_rules.router,
    webhooks.router,
    webhooks.events_router,
    applications.router,
    keys.router,
    oauth.router,
    sandbox.router,
)
#: What GIS tools call; each of its addresses says by OPTIONS which methods it takes.
OGC_ROUTERS = (landing.router, features.router, editing.router, tiles.router, downloads.router)
_OTHER_METHODS = other_methods(OGC_ROUTERS)


async def _close(app: FastAPI) -> None:
    """End what runs beside requests."""
    await app.state.tiles.totals.close()
    await app.state.sandbox_tiles.totals.close()
    app.state.snapshots.close()
    if app.state.sandbox is not None:
        app.state.sandbox.snapshots.close()


def create_app(
    engine: Engine,
    settings: Settings,
    clock: Clock | None = None,
    *,
    public_engine: Engine | None = None,
    sandbox_engine: Engine | None = None,
) -> FastAPI:
    """The application over an engine, and one of its own for callers without a key.

    The public's connections are apart, so that no crowd of searches keeps a booking waiting. The
    caller owns the engines and disposes of them. Without ``sandbox_engine`` there is no sandbox.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # A thread for each connection, and a few for work that needs none.
        connections = settings.pool_size + settings.public_pool_size + SANDBOX_POOL_SIZE
        current_default_thread_limiter().total_tokens = connections + 8
        app.state.places = Semaphore(settings.pool_size)
        app.state.public_places = Semaphore(settings.public_pool_size)
        app.state.sandbox_places = Semaphore(SANDBOX_POOL_SIZE)
        app.state.gate_places = Semaphore(min(GATE_PLACES, settings.pool_size))
        app.state.status_places = Semaphore(min(STATUS_PLACES, settings.pool_size))
        yield
        await _close(app)

    # The documentation pages bring their own scripts, for networks that reach no CDN.
    app = FastAPIOffline(
        docs_url="/docs" if settings.api_pages else None,
        redoc_url="/redoc" if settings.api_pages else None,
        # Generators name packages by it, and package indexes take ASCII only.
        title="Space Relay",
        summary="空间接力：产业园区空间资源与企业需求匹配",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        webhooks=webhooks.sent,
        # The function's own name: what a generated client calls it.
        generate_unique_id_function=lambda route: route.name,
    )
    shown = Shown.by(route for router in (*ROUTERS, *OGC_ROUTERS) for route in router.routes)
    app.openapi = describe_by(app.openapi, shown, "/oauth/token")  # type: ignore[method-assign]
    serve_document(app)
    app.state.engine = engine
    app.state.sessions = session_factory(
        engine, firm_statement_timeout_ms=settings.firm_statement_timeout_ms
    )
    app.state.public_sessions = session_factory(public_engine or engine)
    app.state.clock = clock or SystemClock()
    app.state.settings = settings
    app.state.crses = crses_of(settings)
    app.state.issuer = settings.public_url or "http://127.0.0.1:8000"
    app.state.shown = shown
    app.state.sealer = Sealer.of(settings)
    app.state.gate = Gate(Passwords(), app.state.sealer, StaffPolicy.of(settings))
    app.state.published_keys = Published()
    provider = OidcConfig.of(settings)
    app.state.provider = None if provider is None else Provider(provider, app.state.sealer)
    # Reads nothing until somebody begins it or needs it.
    app.state.snapshots = Followed(
        engine,
        load_rules(settings.data_dir).building,
        settings.snapshot_dir or settings.home / "snapshots",
    )
    app.state.told, app.state.asked_tiles = Told(), AskedTiles()
    app.state.sandbox = None if sandbox_engine is None else Sandbox.over(sandbox_engine, settings)
    app.state.tiles, app.state.sandbox_tiles = KeptTiles(), KeptTiles()
    app.state.tiles.versions.watch(app.state.sessions)
    app.state.features, app.state.sandbox_features = (
        KeptFeatures(settings.kept_features_mb << 20, beside.versions)
        if settings.kept_features_mb
        else None
        for beside in (app.state.tiles, app.state.sandbox_tiles)
    )
    if app.state.sandbox is not None:
        app.state.sandbox_tiles.versions.watch(app.state.sandbox.sessions)
    problems.install(app)
    app.add_middleware(AtHand)
    app.add_middleware(OwnMethods)
    app.add_middleware(LimitBody, max_bytes=settings.max_body_bytes)
    app.add_middleware(
        Throttle, limits=settings.rate_limits, processes=settings.rate_limit_processes
    )
    if insists_on_tls(settings):
        app.add_middleware(InsistOnTls, public_url=settings.public_url)
    app.add_middleware(Observe, hsts_seconds=settings.hsts_seconds)
    # Addresses are compared in turn: a map asks a hundred times where a person asks once.
    routers = (*OGC_ROUTERS, *ROUTERS, _OTHER_METHODS)
    for router in routers:
        app.include_router(router)
    routes = [route for router in routers for route in router.routes]
    app.state.methods = Methods([*routes, *app.routes])

    @app.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        return RedirectResponse("/docs")

    return app
