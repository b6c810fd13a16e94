"""Finds the PostgreSQL programs of this machine that have PostGIS.

Standard library only: ``dev.py`` loads this file before anything is installed.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MINIMUM_MAJOR = 15
MINIMUM_POSTGIS = (3, 3)
OWN_SERVER = "or use a server of your own: export SPACE_RELAY_DATABASE_URL=postgresql://…"

# Server programs are in no PATH on Debian, and several majors may stand side by side.
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
_PROGRAMS = ("postgres", "initdb", "psql")


class ClusterError(Exception):
    """The private cluster cannot do what was asked.

    ``message`` is one sentence that says what is wrong; ``remedy`` is the line to
    type, or what to do, to get out of it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}"


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """One installed PostgreSQL server."""

    bindir: Path
    version: str
    major: int
    postgis: str | None
    """Version of the PostGIS made for it, or None."""

    def program(self, name: str) -> Path:
        """Path of one of its programs."""
        return self.bindir / name

    @property
    def fits(self) -> bool:
        """Whether it is new enough and has a PostGIS that is."""
        return (
            self.major >= MINIMUM_MAJOR
            and self.postgis is not None
            and _numbers(self.postgis)[:2] >= MINIMUM_POSTGIS
        )


def find_binaries(major: int | None = None) -> PostgresBinaries:
    """The newest PostgreSQL here that has PostGIS, or the newest of one ``major``.

    ``SPACE_RELAY_PG_BINDIR`` decides alone when it is set. Otherwise the folder that
    ``pg_config`` names, those on PATH, and the usual places of each system are looked at.

    Raises:
        ClusterError: nothing fits; the remedy is the line that installs what is missing.
    """
    found = installed()
    fitting = [one for one in found if one.fits and major in (None, one.major)]
    if fitting:
        return max(fitting, key=lambda one: one.major)
    chosen = os.environ.get("SPACE_RELAY_PG_BINDIR")
    if chosen and not found:
        raise ClusterError(
            f"SPACE_RELAY_PG_BINDIR is {chosen}, but there is no PostgreSQL server in it.",
            "unset SPACE_RELAY_PG_BINDIR",
        )
    new_enough = [one for one in found if one.major >= (major or MINIMUM_MAJOR)]
    if not found:
        message = "PostgreSQL is not installed."
    elif major is not None and not any(one.major == major for one in found):
        message = f"PostgreSQL {major} is not installed."
    elif not new_enough:
        newest = max(found, key=lambda one: one.major)
        message = (
            f"PostgreSQL {newest.version} in {newest.bindir} is too old; "
            f"Space Relay needs {MINIMUM_MAJOR} or newer."
        )
    else:
        newest = max(new_enough, key=lambda one: one.major)
        major = newest.major
        wanted = ".".join(map(str, MINIMUM_POSTGIS))
        message = (
            f"PostgreSQL {newest.version} is in {newest.bindir}, but it has no PostGIS."
            if newest.postgis is None
            else f"PostGIS {newest.postgis} of PostgreSQL {newest.version} is too old; "
            f"Space Relay needs {wanted} or newer."
        )
    raise ClusterError(message, f"{install_line(major)}\n  {OWN_SERVER}")


def installed() -> list[PostgresBinaries]:
    """Every PostgreSQL server of this machine, in the order they are looked for."""
    folders = dict.fromkeys(folder.resolve() for folder in _folders())
    return [one for folder in folders if (one := _inspect(folder)) is not None]


def apt_packages(major: int | None = None) -> list[str]:
    """The Debian packages to install: of ``major`` if offered, else of the newest offered.

    Empty where apt offers no PostGIS for a PostgreSQL that is new enough.
    """
    listed = _output("apt-cache", "search", "--names-only", r"^postgresql-[0-9]+-postgis-3$")
    offered = [
        int(number) for number in re.findall(r"^postgresql-(\d+)-postgis-3\b", listed, re.MULTILINE)
    ]
    fitting = [one for one in offered if one >= MINIMUM_MAJOR]
    if not fitting:
        return []
    chosen = major if major in fitting else max(fitting)
    return [
        f"postgresql-{chosen}",
        f"postgresql-{chosen}-postgis-3",
        f"postgresql-{chosen}-postgis-3-scripts",
    ]


def install_line(major: int | None = None) -> str:
    """The line to type on this system to get PostgreSQL with PostGIS."""
    if sys.platform == "darwin":
        return "brew install postgresql postgis"
    if shutil.which("apt-get"):
        # A bare image has empty package lists; the two metapackages exist in all of them.
        packages = apt_packages(major) or ["postgresql", "postgresql-postgis"]
        return (
            "sudo apt-get update && "
            f"sudo apt-get install -y --no-install-recommends {' '.join(packages)}"
        )
    return (
        f"install PostgreSQL {major or MINIMUM_MAJOR}{'' if major else ' or newer'} and its "
        "PostGIS with this system's package manager"
    )


def _folders() -> Iterator[Path]:
    chosen = os.environ.get("SPACE_RELAY_PG_BINDIR")
    if chosen:
        yield Path(chosen)
        return
    named = _output("pg_config", "--bindir").strip()
    if named:
        yield Path(named)
    for folder in os.get_exec_path():
        program = Path(folder, "postgres")
        if os.access(program, os.X_OK):  # unlike exists(), no error in a closed folder
            yield program.resolve().parent
    for place in _PLACES:
        yield from sorted(Path("/").glob(place.lstrip("/")), reverse=True)


def _inspect(folder: Path) -> PostgresBinaries | None:
    if not all(os.access(folder / name, os.X_OK) for name in _PROGRAMS):
        return None
    said = re.search(r"\d[\w.]*", _output(str(folder / "postgres"), "--version"))
    if said is None:
        return None
    major = _numbers(said[0])[0]
    shares = [
        Path(_output(str(folder / "pg_config"), "--sharedir").strip() or folder),
        folder.parent / "share/postgresql",
        folder.parent / "share",
        Path(f"/usr/share/postgresql/{major}"),
    ]
    for share in shares:
        control = share / "extension/postgis.control"
        if os.access(control, os.R_OK):
            named = re.search(r"default_version\s*=\s*'([^']+)'", control.read_text("utf-8"))
            return PostgresBinaries(folder, said[0], major, named[1] if named else None)
    return PostgresBinaries(folder, said[0], major, None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _output(*command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own words and paths found on this machine
            command, capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
