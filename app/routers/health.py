"""Liveness, readiness and metrics, for machines that watch."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from app.database.migrate import readiness
from app.routers.transport import require_monitor
from app.settings import Settings

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process runs."""

    status: str = Field(default="ok", examples=["ok"])


class Readiness(BaseModel):
    """Whether calls can be served."""

    ready: bool
    checks: dict[str, str] = Field(
        examples=[{"database": "ok", "migrations": "ok", "snapshot": "ok"}]
    )


@router.get("/healthz")
async def healthz() -> Health:
    """Say that the process runs. Touches no database."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness}})
def readyz(request: Request, response: Response) -> Readiness:
    """Say whether the database answers, is at the right schema, and the snapshot follows it."""
    state = request.app.state
    checks = readiness(state.engine)
    checks["snapshot"] = _snapshot(state.snapshots.age_seconds(), state.settings)
    ready = all(value == "ok" for value in checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, checks=checks)


def _snapshot(age_seconds: float | None, settings: Settings) -> str:
    """``ok`` also before anybody needed one."""
    if age_seconds is None or age_seconds <= settings.snapshot_age_max_seconds:
        return "ok"
    return f"not known to be true for {age_seconds:.0f} s"


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Metrics in Prometheus' text format, for those who watch the service."""
    require_monitor(request, request.app.state.settings)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
