"""Files of a collection's features over HTTP."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import BoundedSemaphore
from typing import Any

from anyio import CancelScope
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.database.session import Session
from app.kernel.clock import civil_day
from app.kernel.errors import BusyError, NotFoundError
from app.ogc.asked import VIEW, require_view
from app.ogc.collections import COLLECTIONS, find_collection
from app.ogc.documents import GEOJSON, PROJECT_PATH, QGIS, extents
from app.ogc.downloads.asked import (
    FORMATS,
    KNOWN_MOST,
    PUBLIC_MOST,
    Download,
    read_download,
    require_few,
)
from app.ogc.downloads.packing import pieces_of, write_file
from app.ogc.downloads.rows import comma_separated, geojson, geojson_sequence
from app.ogc.errors import BadParameterError, bad_parameter
from app.ogc.qgis.project import qgis_project
from app.ogc.references import require_references
from app.routers.dependencies import (
    SESSION_COOKIE,
    bearer_scheme,
    cookie_scheme,
    get_actor,
    get_caller,
    is_public,
    open_session,
    wait_for_a_place,
)
from app.routers.ogc.features import CollectionId
from app.routers.ogc.serving import answer, base_of, crses, in_session, now_of, parameters_of
from app.routers.problems import problems
from app.security.actors import NotSignedInError

router = APIRouter(
    prefix="/ogc",
    tags=["OGC API"],
    dependencies=[Depends(bearer_scheme), Depends(cookie_scheme)],
    responses=problems(BadParameterError, NotFoundError, NotSignedInError, BusyError),
)

#: Files made at a time by one process: whoever reads slowly keeps a connection for as long.
PLACES = 2
_places = BoundedSemaphore(PLACES)
_BYTES = {"type": "string", "format": "binary"}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            media: {"schema": {"type": "object"} if media == GEOJSON else _BYTES}
            for media in (one.media_type.partition(";")[0] for one in FORMATS.values())
        }
    }
}
_PROJECT: dict[int | str, dict[str, Any]] = {
    200: {"content": {QGIS: {"schema": {"type": "string"}}}}
}
_TEXTS = {"geojson": geojson, "geojsonseq": geojson_sequence, "csv": comma_separated}
_place, _session = asynccontextmanager(wait_for_a_place), contextmanager(open_session)


class FileAnswer(StreamingResponse):
    """Sends pieces as they are made, and gives back what making them took, however that ends."""

    def __init__(self, pieces: Iterator[bytes], held: AsyncExitStack, download: Download) -> None:
        """``held`` is closed when the last piece is sent, or the caller is gone."""
        headers = {"Cache-Control": "no-cache", "Content-Disposition": download.disposition}
        super().__init__(pieces, media_type=download.format.media_type, headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all."""
        async with self._held:
            await super().__call__(scope, receive, send)


@router.get(
    "/collections/{collection_id}/download",
    responses=_FILES,
    summary="下载图层 Download features as a file",
)
async def download_ogc_collection(request: Request, collection_id: CollectionId) -> Response:
    """All features that the parameters ask for, as one file: whatever `/items` takes to select.

    `f` is geojson, geojsonseq, csv (UTF-8 with a mark, so that Excel reads it; the outline is in
    the column `WKT`), fgb or gpkg (with Chinese field titles and coded values); `crs` is of the
    last three. Without a key a file has at most 50,000 features, with one 250,000; a question that
    has more is refused, never cut off.

    Example: `GET /ogc/collections/free_space/download?f=gpkg&datetime=2027-03-01`
    """
    one = find_collection(collection_id)
    bearer = await bearer_scheme(request)
    async with AsyncExitStack() as held:
        if not _places.acquire(blocking=False):
            raise BusyError("other files are being made", detail_zh="正在生成其他文件，请稍后重试")
        held.callback(_places.release)
        await held.enter_async_context(_place(request))
        kept = ExitStack()
        held.push_async_callback(_close, kept)

        def begin() -> tuple[Download, Iterator[bytes]]:
            asked = parameters_of(request)
            download = read_download(one, asked, now=now_of(request), known=crses(request))
            session = kept.enter_context(_session(request, None))
            if not is_public(request):
                cookie = request.cookies.get(SESSION_COOKIE)
                get_actor(get_caller(request, session, request.app.state.clock, bearer, cookie))
            most = PUBLIC_MOST if is_public(request) else KNOWN_MOST
            require_references(session, one, asked)
            require_few(session, download, most)
            return download, _begun(request, session, download, most, kept)

        download, pieces = await run_sync(begin)
        # What is held goes on with the answer.
        return FileAnswer(pieces, held.pop_all(), download)


def _begun(
    request: Request, session: Session, download: Download, most: int, kept: ExitStack
) -> Iterator[bytes]:
    """The file, begun far enough to know that it can be had."""
    if request.method == "HEAD":
        return iter(())
    if not download.format.driver:
        pieces = kept.enter_context(closing(_TEXTS[download.name](session, download, most)))
        return chain([next(pieces)], pieces)
    folder = kept.enter_context(TemporaryDirectory(prefix="space-relay-file-"))
    file = write_file(session, download, most, Path(folder))
    # Whoever takes long to fetch it keeps no connection.
    session.close()
    return pieces_of(file)


async def _close(kept: ExitStack) -> None:
    """Give back what was taken, also for a caller who has gone."""
    with CancelScope(shield=True):
        await run_sync(kept.close)


@router.get(PROJECT_PATH, responses=_PROJECT, summary="QGIS 项目 A QGIS project")
async def show_ogc_qgis_project(request: Request) -> Response:
    """A project of all layers for QGIS, with styles and Chinese names; free space on `datetime`.

    `as_of` makes it what was known then, `level` one level of all buildings.

    Example: `GET /ogc/qgis/project.qgs?datetime=2027-03-01`
    """
    now, view = now_of(request), dict[str, str]()
    for name, value in parameters_of(request):
        if name not in VIEW or name in view:
            listed = ", ".join(VIEW)
            raise bad_parameter(name[:100], f"{listed}, once each", f"{listed}，各至多一次")
        require_view(COLLECTIONS["free_space"], name, value, now)
        view[name] = value
    day = view.setdefault("datetime", str(civil_day(now)))
    view = {name: view[name] for name in VIEW if name in view}

    def work(session: Session) -> Response:
        file = qgis_project(base_of(request), view, extents(session)["parks"])
        disposition = f'attachment; filename="space-relay-{day.replace("/", "_")}.qgs"'
        return answer(file, QGIS, {"Content-Disposition": disposition})

    return await in_session(request, work)
