"""The servers that are compared with: installed from PyPI in environments of their own.

Each serves one flat table that was made for it: the very properties that our collection shows, with
a primary key and a spatial index, and nothing to join. That is more than they would find in a
database that also keeps a ledger, and the comparison is the stricter for it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from sqlalchemy import make_url

ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENTS = ROOT / ".space-relay" / "rivals"

#: Schema and table that the rivals serve, and its columns beside the properties.
SCHEMA, TABLE, KEY, OUTLINE = "rivals", "units", "fid", "geom"

#: Versions that run on every Python that we support.
REQUIREMENTS: Mapping[str, Sequence[str]] = {
    "tipg": ("tipg==1.6.1", "uvicorn==0.54.*", "httptools"),
    "pygeoapi": ("pygeoapi==0.21.0", "geoalchemy2", "psycopg2-binary", "gunicorn"),
}
#: Answers at a time that pygeoapi, which is no asynchronous server, gives.
_THREADS = 8
_STARTS_WITHIN_S = 120


@dataclass(frozen=True)
class Served:
    """A server that listens on loopback, and its process."""

    name: str
    port: int
    pid: int

    def items(self, parameters: Mapping[str, str]) -> str:
        """Path of the question that all servers are asked."""
        collection = f"{SCHEMA}.{TABLE}" if self.name == "tipg" else TABLE
        form = {"f": "geojson" if self.name == "tipg" else "json"}
        return f"/collections/{collection}/items?" + urlencode({**parameters, **form})

    def page(self, limit: int, offset: int) -> str:
        """Path of a page of all features."""
        return self.items({"limit": str(limit), "offset": str(offset)})

    def tile(self, zoom: int, column: int, row: int, properties: Sequence[str]) -> str:
        """Path of a tile; only tipg makes them from a database."""
        tile = f"{zoom}/{column}/{row}?" + urlencode({"properties": ",".join(properties)})
        return f"/collections/{SCHEMA}.{TABLE}/tiles/WebMercatorQuad/{tile}"


def environment(name: str) -> Path:
    """The interpreter of the rival's own environment, made if it is not there."""
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    wanted = "\n".join(REQUIREMENTS[name])
    made = folder / "made-of.txt"
    if not (made.exists() and made.read_text() == wanted):
        uv = [sys.executable, "-m", "uv"]
        run = [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)]
        subprocess.run(run, check=True)
        install = [*uv, "pip", "install", "--quiet", "--python", str(python)]
        subprocess.run([*install, *REQUIREMENTS[name]], check=True)
        made.write_text(wanted)
    return python


@contextmanager
def tipg(url: str) -> Iterator[Served]:
    """Tipg over the flat table."""
    host, port, user, database = _database(url)
    settings = {
        "DATABASE_URL": f"postgresql://{user}@{quote(host, safe='')}:{port}/{database}",
        "TIPG_DB_SCHEMAS": json.dumps([SCHEMA]),
        "TIPG_DB_EXCLUDE_FUNCTION_SCHEMAS": json.dumps(["public"]),
        "TIPG_TABLE_CONFIG__RIVALS_UNITS__PK": KEY,
        "TIPG_DEFAULT_MAXZOOM": "22",
    }
    command = ["-m", "uvicorn", "tipg.main:app", "--log-level", "error", "--port"]
    with _running("tipg", command, settings) as served:
        yield served


@contextmanager
def pygeoapi(url: str, folder: Path) -> Iterator[Served]:
    """Pygeoapi over the flat table; ``folder`` keeps its configuration."""
    config, document = folder / "pygeoapi.json", folder / "openapi.json"
    config.write_text(json.dumps(_pygeoapi_config(url)))
    python = environment("pygeoapi")
    settings = {"PYGEOAPI_CONFIG": str(config), "PYGEOAPI_OPENAPI": str(document)}
    subprocess.run(
        [
            *(str(python.parent / "pygeoapi"), "openapi", "generate"),
            *(str(config), "--output-file", str(document), "--format", "json"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **settings},
    )
    command = ["-m", "gunicorn", "pygeoapi.flask_app:APP", "--threads", str(_THREADS)]
    command += ["--keep-alive", "60", "--log-level", "error", "--bind"]
    with _running("pygeoapi", command, settings) as served:
        yield served


def _pygeoapi_config(url: str) -> dict[str, object]:
    host, port, user, database = _database(url)
    text = {"en": "units"}
    described = {"title": text, "description": text, "keywords": {"en": ["units"]}}
    provider = {
        "type": "feature",
        "name": "PostgreSQL",
        "data": {
            "host": host,
            "port": port,
            "dbname": database,
            "user": user,
            "password": "none",
            "search_path": [SCHEMA, "public"],
        },
        "id_field": KEY,
        "table": TABLE,
        "geom_field": OUTLINE,
    }
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": 5000},
            "url": "http://127.0.0.1:5000",
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "languages": ["en"],
            "limits": {"default_items": 10, "max_items": 10_000},
            "map": {"url": "http://127.0.0.1/", "attribution": "none"},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                **described,
                "keywords_type": "theme",
                "terms_of_service": "none",
                "url": "http://127.0.0.1",
            },
            "license": {"name": "none", "url": "http://127.0.0.1"},
            "provider": {"name": "benchmark", "url": "http://127.0.0.1"},
            "contact": {"name": "benchmark", "email": "benchmark@example.com"},
        },
        "resources": {
            TABLE: {
                "type": "collection",
                **described,
                "links": [],
                "extents": {"spatial": {"bbox": [120, 30, 123, 32]}},
                "providers": [provider],
            }
        },
    }


def _database(url: str) -> tuple[str, int, str, str]:
    """Host or folder of sockets, port, login and name of a database."""
    parts = make_url(url)
    host = parts.host or str(parts.query.get("host", "localhost"))
    port = parts.port or int(str(parts.query.get("port", "5432")))
    return host, port, parts.username or "", parts.database or ""


@contextmanager
def _running(name: str, command: Sequence[str], settings: Mapping[str, str]) -> Iterator[Served]:
    """The server's process, until the block ends; the last word of its command is where it is."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    place = f"127.0.0.1:{port}" if command[-1] == "--bind" else str(port)
    process = subprocess.Popen(
        [str(environment(name)), *command, place], env={**os.environ, **settings}
    )
    try:
        _wait_until_it_listens(process, port)
        yield Served(name, port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"the server did not start in {_STARTS_WITHIN_S} s")
