"""What others have written to check an OGC API, from PyPI, in environments of their own."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.ogc.clients.conftest import Served

_APART = [sys.executable, "-m", "uv", "run", "--no-project", "--python", sys.executable]
#: Its fixtures lie two folders above its tests, where pytest looks only if it is told to.
_CORE = """
import pathlib, sys
import ogctests, pytest
home = pathlib.Path(ogctests.__file__).parent
sys.exit(pytest.main([str(home / "features" / "core"), "-q", "--confcutdir", str(home)]))
"""
_VALIDATE = """
import json, sys
from ogcapi_registry import validate_ogc_api
document, classes = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
judged = validate_ogc_api(document, classes)
print(json.dumps({"valid": judged.is_valid, "errors": [str(one) for one in judged.errors]}))
"""


def apart(package: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*_APART, "--with", package, "python", *words]
    told = {**os.environ, **environment}
    return subprocess.run(
        command, env=told, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture
def all_drawn(gis: Served) -> Iterator[None]:
    """Every feature has an outline.

    Not every park's is published, and RFC 7946 (section 3.2) writes null for what has no place;
    the schemas that ogctests holds features against forget that.
    """
    tables = ("zones", "parks")
    drawn = "ST_Multi(ST_MakeEnvelope(121.5, 31.1, 121.6, 31.2, 4326))"
    without = {}
    for table in tables:
        told = f"UPDATE {table} SET geom = {drawn} WHERE geom IS NULL RETURNING id"  # noqa: S608
        without[table] = list(gis.session.execute(text(told)).scalars())
    gis.session.commit()
    yield
    for table, ids in without.items():
        told = f"UPDATE {table} SET geom = NULL WHERE id = ANY(:ids)"  # noqa: S608
        gis.session.execute(text(told), {"ids": ids})
    gis.session.commit()


@pytest.mark.long
@pytest.mark.usefixtures("all_drawn")
def test_ogctests_find_no_fault_with_the_core(gis: Served) -> None:
    done = apart("ogctests==0.1.15", "-c", _CORE, INSTANCE_URL=f"{gis.url}/")

    assert re.search(r"^29 passed", done.stdout, re.MULTILINE), done.stdout + done.stderr


@pytest.mark.long
def test_the_registry_finds_the_document_and_the_classes_valid(gis: Served, tmp_path: Path) -> None:
    files = []
    for name in ("api", "conformance"):
        with urllib.request.urlopen(f"{gis.url}/{name}") as answer:  # noqa: S310  (our own server)
            told = json.load(answer)
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(told if name == "api" else told["conformsTo"]))

    done = apart("ogcapi-registry==0.4.0", "-c", _VALIDATE, *map(str, files))

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"valid": True, "errors": []}
