"""Where GIS tools begin: landing page, conformance, the API's own document."""

from collections.abc import Set as AbstractSet

from fastapi import APIRouter, Depends, Request, Response

from app.kernel.errors import NotFoundError
from app.ogc.asked import VIEW, require_view
from app.ogc.collections import COLLECTIONS
from app.ogc.crs import LOCAL_PATH
from app.ogc.documents import JSON, OPENAPI, conformance, landing
from app.ogc.errors import BadParameterError, bad_parameter
from app.ogc.openapi import openapi
from app.routers.dependencies import bearer_scheme, cookie_scheme
from app.routers.ogc.serving import answer, base_of, crses, now_of, parameters_of
from app.routers.problems import problems

router = APIRouter(
    prefix="/ogc",
    tags=["OGC API"],
    dependencies=[Depends(bearer_scheme), Depends(cookie_scheme)],
    responses=problems(BadParameterError, NotFoundError),
)


#: Takes all of a view.
FREE_SPACE = COLLECTIONS["free_space"]


def require_format_only(request: Request) -> None:
    """Refuse query parameters of a document that takes none but ``f=json`` and ``datetime``.

    Raises:
        BadParameterError: there is another one.
    """
    _require(request, frozenset({"datetime"}))


def require_address(request: Request) -> None:
    """The same of what QGIS and GDAL read on their way to features, which takes a whole ``VIEW``.

    They repeat the parameters of the address that they are given at each call, so that
    ``/ogc?datetime=2027-03-01`` is the park on that day. The documents are the same on any day.

    Raises:
        BadParameterError: there is another one.
    """
    _require(request, frozenset(VIEW))


def _require(request: Request, view: AbstractSet[str]) -> None:
    for name, value in parameters_of(request):
        if name in view:
            require_view(FREE_SPACE, name, value, now_of(request))
            continue
        if name != "f":
            raise bad_parameter(
                name[:100],
                f"there is no such parameter here; there are f, {', '.join(sorted(view))}",
                f"此处没有该参数，可用的有 f、{'、'.join(sorted(view))}",
            )
        if value != "json":
            raise bad_parameter("f", "json", "应为 json")


FormatOnly, AddressOnly = Depends(require_format_only), Depends(require_address)


@router.get("/", dependencies=[AddressOnly], include_in_schema=False)
@router.get("", dependencies=[AddressOnly], summary="GIS 服务首页 Landing page")
async def show_ogc(request: Request) -> Response:
    """Links to all that the OGC API offers: the address to give to QGIS.

    Example: `GET /ogc`
    """
    return answer(landing(base_of(request)), JSON)


# Some tools put a slash behind the address they are given.
router.add_api_route("/", show_ogc, dependencies=[AddressOnly], include_in_schema=False)


@router.get("/conformance", dependencies=[AddressOnly], summary="符合性 Conformance")
async def show_ogc_conformance(request: Request) -> Response:  # noqa: ARG001  (as all routes here)
    """The classes of the standards that the service conforms to."""
    return answer(conformance(), JSON)


@router.get(
    "/api",
    dependencies=[AddressOnly],
    responses={200: {"content": {OPENAPI: {"schema": {"type": "object"}}}}},
    summary="接口说明 The API in OpenAPI 3.0",
)
async def show_ogc_api(request: Request) -> Response:
    """The OGC API in OpenAPI 3.0: each collection's properties are parameters of its items."""
    return answer(openapi(base_of(request), crses(request)), OPENAPI)


@router.get(
    LOCAL_PATH.removeprefix("/ogc"),
    dependencies=[AddressOnly],
    summary="本地坐标系 The installation's own coordinate reference system",
)
async def show_ogc_local_crs(request: Request) -> Response:
    """The coordinate reference system that this installation adds, as PROJ or WKT text."""
    for crs in crses(request).values():
        if crs.definition:
            return answer({"name": crs.name, "definition": crs.definition}, JSON)
    raise NotFoundError("no local system is set up here", detail_zh="本系统未设置本地坐标系")
