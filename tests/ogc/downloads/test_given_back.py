"""However a download ends, what it took is given back: its place, its connection, its folder."""

import asyncio
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message

from app.ogc.downloads import writer
from app.routers.ogc import downloads

SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/ogc/collections/floors/download",
    "raw_path": b"/ogc/collections/floors/download",
    "root_path": "",
    "headers": [(b"host", b"testserver")],
    "client": ("127.0.0.1", 5000),
    "server": ("testserver", 80),
}


class Caller:
    """Reads an answer piece by piece, and leaves as told."""

    def __init__(self, leaving: str) -> None:
        self._leaving = leaving
        self._first = asyncio.Event()

    async def receive(self) -> Message:
        if self._leaving != "half read":
            await asyncio.Event().wait()
        await self._first.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            return
        self._first.set()


@pytest.mark.parametrize(
    ("name", "leaving"),
    [
        ("geojson", "half read"),
        ("gpkg", "half read"),
        ("gpkg", "at the end"),
    ],
)
def test_a_caller_who_leaves_gives_all_back(
    seeded_client: TestClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    leaving: str,
) -> None:
    app, portal = seeded_client.app, seeded_client.portal
    assert isinstance(app, FastAPI)
    assert portal is not None
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    closed: list[object] = []
    lent = type(app.state.public_sessions())
    close = lent.__exit__

    def counted(self: object, *args: object) -> None:
        closed.append(self)
        close(self, *args)

    monkeypatch.setattr(lent, "__exit__", counted)
    scope = {**SCOPE, "query_string": f"f={name}".encode()}

    async def call() -> None:
        caller = Caller(leaving)
        await asyncio.wait_for(app(scope, caller.receive, caller.send), 30)

    for _ in range(downloads.PLACES + 1):  # more than there are places
        portal.call(call)

    assert len(closed) == downloads.PLACES + 1
    assert not list(tmp_path.glob("space-relay-file-*"))


def test_there_are_so_many_places_and_no_more(seeded_client: TestClient) -> None:
    zones = "/ogc/collections/zones/download"
    for _ in range(downloads.PLACES):
        assert downloads._places.acquire(blocking=False)

    refused = seeded_client.get(zones)
    for _ in range(downloads.PLACES):
        downloads._places.release()

    assert refused.status_code == 503
    assert seeded_client.get(zones).status_code == 200


def test_the_writer_may_have_no_more_than_its_limits(tmp_path: Path) -> None:
    """The control: the same features are written under the usual limits."""
    head: writer.Head = {
        "file": "out.gpkg",
        "driver": "GPKG",
        "layer": "rooms",
        "title": "房间",
        "geometry": "Polygon",
        "crs": "EPSG:4326",
        "columns": [{"name": "name", "kind": "TEXT", "title": "名称", "codes": {}}],
    }
    rows = [orjson.dumps([fid, None, f"{fid:0999d}"]) for fid in range(1, 2001)]
    told = b"\n".join([orjson.dumps(head), *rows, b""])
    source = Path(writer.__file__).read_text(encoding="utf-8")
    small = tmp_path / "small.py"
    strict = f"(resource.RLIMIT_FSIZE, {64 << 10}),"
    small.write_text(source.replace("(resource.RLIMIT_FSIZE, 2 * _GIB),", strict), encoding="utf-8")
    assert strict in small.read_text(encoding="utf-8")

    def done(program: Path, folder: Path) -> int:
        folder.mkdir()
        return subprocess.run(
            [sys.executable, "-I", str(program)],
            input=told,
            cwd=folder,
            capture_output=True,
            check=False,
        ).returncode

    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    assert done(Path(writer.__file__), tmp_path / "usual") == 0
    assert done(small, tmp_path / "strict") != 0
