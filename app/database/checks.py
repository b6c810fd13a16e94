"""What the doctors look at: ``dev.py doctor`` and ``space-relay doctor``.

Standard library only: ``dev.py`` loads this file before anything is installed.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from app.database.binaries import MINIMUM_MAJOR, MINIMUM_POSTGIS, ClusterError, find_binaries
from app.database.cluster import Cluster, service_account

PYTHONS = ((3, 11), (3, 14))
"""The oldest Python that will do, and the first that has not been tried."""

_GIGABYTE = 1_000_000_000

# Run by a Python that has psycopg; the URL comes by the environment, so that no list of
# processes shows its password.
_ASK = """
import os, psycopg, sys
try:
    link = psycopg.connect(os.environ["ASK_URL"], connect_timeout=5)
except psycopg.ProgrammingError:  # which repeats what it could not read, a password perhaps
    sys.exit("PostgreSQL cannot read that URL; % and spaces in a password are written %25, %20")
with link:
    row = link.execute(
        "SELECT current_setting('server_version_num')::int / 10000, "
        "(SELECT default_version FROM pg_available_extensions WHERE name = 'postgis')"
    ).fetchone()
print(*row)
"""


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    good: bool
    found: str
    remedy: str = ""
    needed: bool = True


def check_python() -> Check:
    """The Python that runs this."""
    found = ".".join(map(str, sys.version_info[:3]))
    good = PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]
    return Check(
        "Python", good, f"{found} at {sys.executable}", "install Python 3.11, 3.12 or 3.13"
    )


def check_postgres() -> Check:
    """The server programs for the private cluster."""
    try:
        found = find_binaries()
    except ClusterError as error:
        return Check("PostgreSQL", good=False, found=error.message, remedy=error.remedy)
    return Check(
        "PostgreSQL",
        good=True,
        found=f"{found.version} with PostGIS {found.postgis} in {found.bindir}",
    )


def check_account() -> Check:
    """The user that the private cluster runs as."""
    if os.geteuid() != 0:
        return Check("Server user", good=True, found="you")
    try:
        return Check("Server user", good=True, found=f"{service_account().name}, as you are root")
    except ClusterError as error:
        return Check("Server user", good=False, found=error.message, remedy=error.remedy)


def check_cluster(home: Path) -> Check:
    """The data of the private cluster."""
    return Check("Private cluster", good=True, found=Cluster(home).describe())


def check_disk(folder: Path, *, gigabytes: float = 1.0) -> Check:
    """Free space where ``folder`` is or will be."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / _GIGABYTE
    return Check(
        "Disk",
        free >= gigabytes,
        f"{free:.1f} GB free for {folder}",
        f"df -h {folder}   # free at least {gigabytes:g} GB there",
    )


def check_port(port: int, host: str = "127.0.0.1") -> Check:
    """Whether a server could listen on ``port``."""
    if port_is_free(port, host):
        return Check(f"Port {port}", good=True, found=f"free on {host}")
    return Check(
        f"Port {port}",
        good=False,
        found=f"used by another program on {host}",
        remedy=f"python3 dev.py run --port {free_port(port, host)}",
        needed=False,
    )


def check_database(url: str, python: Path | None = None) -> Check:
    """The server that ``SPACE_RELAY_DATABASE_URL`` names, asked through psycopg of ``python``."""
    plain = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url)
    try:
        done = subprocess.run(  # noqa: S603 - our own program text
            [str(python or sys.executable), "-c", _ASK],
            env={**os.environ, "ASK_URL": plain},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _database(good=False, found=f"could not be asked: {type(error).__name__}")
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return _database(good=False, found=said[-1] if said else "could not be asked")
    major, postgis = done.stdout.split()
    wanted = ".".join(map(str, MINIMUM_POSTGIS))
    if int(major) < MINIMUM_MAJOR:
        return _database(
            good=False, found=f"PostgreSQL {major} is too old; {MINIMUM_MAJOR} or newer is needed"
        )
    if postgis == "None" or _pair(postgis) < MINIMUM_POSTGIS:
        return _database(
            good=False, found=f"PostGIS there is {postgis}; {wanted} or newer is needed"
        )
    return _database(good=True, found=f"PostgreSQL {major} with PostGIS {postgis}")


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether ``port`` can be bound now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return False
    return True


def free_port(after: int, host: str = "127.0.0.1") -> int:
    """The next free port above ``after``."""
    return next(
        (port for port in range(after + 1, min(after + 200, 65536)) if port_is_free(port, host)),
        0,  # lets the system choose
    )


def render(checks: Iterable[Check]) -> str:
    """The checks as lines for a person, remedies below what needs one."""
    lines = []
    for check in checks:
        mark = "ok  " if check.good else "MISS" if check.needed else "note"
        lines.append(f"{mark}  {check.name:<16} {check.found}")
        if not check.good and check.remedy:
            lines.extend(f"      {'':<16} → {line.strip()}" for line in check.remedy.splitlines())
    return "\n".join(lines)


def passed(checks: Iterable[Check]) -> bool:
    """Whether nothing that is needed is missing."""
    return all(check.good or not check.needed for check in checks)


def _database(*, good: bool, found: str) -> Check:
    return Check(
        "Database",
        good,
        found,
        "correct SPACE_RELAY_DATABASE_URL, or use the private cluster: "
        "unset SPACE_RELAY_DATABASE_URL",
    )


def _pair(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
