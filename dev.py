#!/usr/bin/env python3
"""The one front door: sets this checkout up, then runs, tests or measures it.

Standard library only, so that it needs nothing but Python. Each step looks first whether
its work is done: what a step made is stamped with a hash of what it was made from.
"""

import argparse
import errno
import fnmatch
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

VERSION = sys.version_info[:2]
if not (3, 11) <= VERSION < (3, 14):  # before anything that an older Python cannot read
    sys.exit(
        "Space Relay needs Python 3.11, 3.12 or 3.13, and this is {}.{}.\n  {} dev.py run".format(
            *VERSION, next(filter(shutil.which, ["python3.13", "python3.12"]), "python3.11")
        )
    )
if sys.platform == "win32":
    sys.exit("Space Relay runs on Linux and macOS; on Windows use WSL 2.\n  wsl --install")

ROOT = Path(__file__).resolve().parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import fcntl  # noqa: E402 - not on Windows
from collections.abc import Callable, Iterator, Sequence  # noqa: E402

from app.database import checks  # noqa: E402 - after the question of Python's version
from app.database.binaries import (  # noqa: E402
    MINIMUM_MAJOR,
    ClusterError,
    apt_packages,
    find_binaries,
    install_line,
    installed,
)
from app.database.cluster import Cluster  # noqa: E402

VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
STAMPS = VENV / ".space-relay"
HOME = Path(os.environ.get("SPACE_RELAY_HOME", ROOT / ".space-relay"))
LOCK = ROOT / "requirements.lock"
RUNTIME_LOCK = ROOT / "runtime.lock"
PORT = 8000
NEEDS_A_HUMAN = 3  # exit code: a line must be typed that this script may not run
INTERRUPTED = 130

# Debian's packaging would start a server of its own on port 5432; nobody asked for it.
NO_MAIN_CLUSTER = "/etc/postgresql-common/createcluster.d/space-relay.conf"

# Where Debian puts what QGIS offers to Python.
QGIS = Path("/usr/lib/python3/dist-packages/qgis")

# Tests start dozens of processes: what one compiled the next one finds, whatever is set here.
COMPILED = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(VENV / "compiled")}

LOCK_FILES = ("*.lock", "*lock.json", "npm-shrinkwrap.json", "pylock*.toml", "requirements*.txt")
CONFIG_FILES = (
    *("pyproject.toml", "setup.cfg", "uv.toml", "pip.conf", ".npmrc", ".yarnrc*", "Makefile"),
    *("Dockerfile*", "compose*.y*ml", "run", "*.sh", "*.yml", "*.yaml"),
)
INDEX_TRACES = re.compile(
    r"""
    "resolved"\s*: |                                  # package-lock.json
    (^|[\s:{])(default-)?(index|registry)\s*= |       # uv.lock, uv.toml, .npmrc
    \[\[?(tool\.uv\.)?index\b |
    (extra-|default-)?index-url | find-links | trusted-host | _authToken |
    \b(PIP|UV|NPM_CONFIG)_\w*(INDEX|FIND_LINKS|REGISTRY)
    """,
    re.VERBOSE | re.IGNORECASE,
)


class SetupError(Exception):
    """The work cannot go on: one sentence why, and the exact line to type."""

    def __init__(self, message: str, remedy: str, code: int = 1) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.code = code


def run(arguments: argparse.Namespace) -> int:
    """Set up, then become the server; arguments go on to ``space-relay serve``."""
    port = port_asked_for(arguments.rest)
    if port and not checks.port_is_free(port):
        raise SetupError(
            f"Port {port} is used by another program.",
            f"python3 dev.py run --port {checks.free_port(port)}",
        )
    set_up()
    program = str(VENV / "bin/space-relay")
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execve(program, [program, "serve", "--demo", *arguments.rest], environment())  # noqa: S606 - Ctrl-C then reaches the server itself


def test(arguments: argparse.Namespace) -> int:
    """Set up, then everything CI runs; pytest comes last and has the last word."""
    code = set_up(tests=True, long=arguments.long, meanwhile=steps_before_tests)
    # A third worker would use the time that two wait, and starve the storms that kill servers. Long
    # races want all cores for themselves, and tell JUnit's file what they measured.
    which = ("0", "long or not long") if arguments.long else ("2", "not long")
    command = [str(PYTHON), "-m", "pytest", "-n", which[0], "-m", which[1], *arguments.rest]
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        command[3:3] = ["-p", "tests.setup.nothing_skipped"]
    if code:
        say("a step above failed; its exit code will be this run's")
    say("pytest")
    last = call(*command, **COMPILED)
    return code or last


def steps_before_tests() -> int:
    """What needs no kernels: the linters, and whether every file of tests can be loaded."""
    return lint_steps() or first_failure([("tests load", load_tests)])


def load_tests() -> int:
    """Load all tests once for the packages that are here.

    The workers of pytest then find them compiled, with all that they import.
    """
    made_from = packages_hash()
    if stamped("loaded-tests", made_from):
        return 0
    command = [str(PYTHON), "-m", "pytest", "-q", "-n", "0", "--collect-only", "tests"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment() | COMPILED, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, done.stderr, sep="", end="")
    else:
        stamp("loaded-tests", made_from)
    return done.returncode


def bench(arguments: argparse.Namespace) -> int:
    """Set up, then run one benchmark or all."""
    folder = ROOT / "benchmarks"
    names = sorted(
        {path.stem for path in folder.glob("[!_]*.py")}
        | {path.parent.name for path in folder.glob("*/__main__.py")}
    )
    if arguments.name is not None:
        if arguments.name not in names:
            raise SetupError(
                f"There is no benchmark {arguments.name}.",
                "python3 dev.py bench " + (" | ".join(names) or "  # there is none yet"),
            )
        names = [arguments.name]
    set_up()
    steps = [(name, partial(measure, name, arguments.rest)) for name in names]
    return first_failure(steps)


def measure(name: str, rest: list[str]) -> int:
    """Run one module of ``benchmarks``."""
    return call(str(PYTHON), "-m", f"benchmarks.{name}", *rest)


def lint(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - all verbs are called alike
    """Set up, then the steps of ``test`` before pytest."""
    return set_up(meanwhile=lint_steps)


def lock(arguments: argparse.Namespace) -> int:
    """Write both lock files anew from pyproject.toml, keeping versions that still fit."""
    with set_up_once_at_a_time():
        ensure_system_packages(postgres=False)
        ensure_venv()
        uv = find_uv()
        if uv is None:
            raise SetupError("uv is needed for this and could not be installed.", "pip install uv")
    common = [
        *(*uv, "pip", "compile", "--quiet", "pyproject.toml", "--universal"),
        *("--python-version", "3.11", "--generate-hashes"),
        *("--no-emit-index-url", "--no-annotate", "--no-header"),
        *(["--upgrade"] if arguments.upgrade else []),
    ]
    steps: list[Step] = [
        (LOCK.name, lambda: call(*common, "--group", "dev", "-o", LOCK.name)),
        (RUNTIME_LOCK.name, lambda: call(*common, "-o", RUNTIME_LOCK.name)),
        ("lock hosts", check_lock_hosts),
    ]
    return first_failure(steps)


def doctor(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - all verbs are called alike
    """Say what is there and what is missing; change nothing."""
    found = diagnose()
    print(checks.render(found))
    if checks.passed(found):
        return 0
    print("\nSomething needed is missing. This sets up all it may, and says what else to type:")
    print("  python3 dev.py run")
    return 1


def audit(arguments: argparse.Namespace) -> int:
    """Look for known holes in what is installed, for dangerous calls and for secrets in the source.

    Changes nothing. Not to be able to ask counts as not passing: silence would look like safety.
    """
    del arguments
    set_up(tests=True)
    sources = "tests/security/test_source.py"
    return first_failure(
        [
            ("known holes", lambda: known_holes(LOCK)),
            ("source", lambda: call(str(PYTHON), "-m", "pytest", "-q", "-n", "0", sources)),
        ]
    )


def known_holes(lock_file: Path) -> int:
    """Ask PyPI's list of vulnerabilities about every locked version, and say what it tells."""
    asked = [str(PYTHON), "-m", "pip_audit", "--disable-pip", "--require-hashes"]
    asked += ["--progress-spinner", "off", "--format", "json", "-r", str(lock_file)]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    try:
        told = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(done.stderr.strip() or "pip-audit said nothing", file=sys.stderr)
        return done.returncode or 1
    holes = [
        f"{one['name']} {one['version']}: {hole['id']}"
        + (f", mended in {', '.join(hole['fix_versions'])}" if hole["fix_versions"] else "")
        for one in told
        for hole in one.get("vulns", ())
    ]
    unknown = [one["name"] for one in told if "skip_reason" in one]
    print("\n".join(holes) or f"no known hole in {len(told) - len(unknown)} packages")
    if unknown:
        print(
            f"{len(unknown)} of {len(told)} packages could not be looked up; ask where PyPI's"
            " list of vulnerabilities can be reached",
            file=sys.stderr,
        )
    return 1 if holes or unknown else 0


def clean(arguments: argparse.Namespace) -> int:
    """Delete what set-up and tools made; the private cluster only with ``--data``."""
    if arguments.data:
        for home in cluster_homes():
            Cluster(home).destroy()
            say(f"deleted the private cluster of {home}")
        shutil.rmtree(HOME, ignore_errors=True)
    leftovers = [VENV, ROOT / "build", ROOT / "dist", *ROOT.glob("*.egg-info")]
    leftovers += [ROOT / f".{tool}_cache" for tool in ("mypy", "ruff", "pytest", "import_linter")]
    leftovers += [ROOT / ".hypothesis"]
    for folder in leftovers:
        if folder.exists():
            shutil.rmtree(folder)
            say(f"deleted {folder.relative_to(ROOT)}")
    return 0


def set_up(
    *, tests: bool = False, long: bool = False, meanwhile: Callable[[], int] = lambda: 0
) -> int:
    """Bring this checkout to where it can run; quick when it already can.

    ``meanwhile`` needs no more than the Python packages: it runs beside the compiler, which
    keeps one core busy, and what it returns is returned.
    """
    with set_up_once_at_a_time():
        ensure_system_packages(tests=tests, long=long)
        ensure_venv()
        ensure_python_packages()
        # The console's build joins here: Node comes with the Python packages above, and
        # its output is stamped like theirs.
        with kernels_compiling():
            return meanwhile()


@contextmanager
def set_up_once_at_a_time() -> Iterator[None]:
    """Two runs in one checkout take turns, since both would write .venv."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "setup.lock").open("wb") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout")
            fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def ensure_system_packages(
    *, tests: bool = False, long: bool = False, postgres: bool = True
) -> None:
    """PostGIS, and what Debian splits from Python, through the system's package manager."""
    problem = postgres_problem() if postgres else None
    others = missing_tools(tests=tests, long=long)
    if problem is None and not others:
        return
    if not shutil.which("apt-get"):
        lines = [problem.remedy] if problem else []
        if others:
            manager = "brew install" if sys.platform == "darwin" else "install:"
            lines.append(f"{manager} {' '.join(others)}")
        message = problem.message if problem else f"Missing: {', '.join(others)}."
        raise SetupError(message, "\n  ".join(lines), NEEDS_A_HUMAN)
    privilege = ways_to_root()
    if privilege is None:
        line = install_line(wanted_major()) if problem else "sudo apt-get install -y"
        raise SetupError(
            "System packages are missing, and sudo would ask for your password.",
            " ".join([line, *others]),
            NEEDS_A_HUMAN,
        )
    say("installing system packages")
    apt = [*privilege, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    apt += ["-o", "DPkg::Lock::Timeout=300"]
    must(*apt, "update", remedy="sudo apt-get update")
    packages = list(others)
    if problem is not None:
        server = apt_packages(wanted_major())
        if not server:
            raise SetupError(
                f"This system's apt offers no PostGIS for PostgreSQL {MINIMUM_MAJOR} or newer; "
                "PostgreSQL's own packages do.",
                "sudo apt-get install -y postgresql-common ca-certificates && "
                "sudo sh /usr/share/postgresql-common/pgdg/*.sh -y",
                NEEDS_A_HUMAN,
            )
        packages += server
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    with no_main_cluster(privilege):
        must(*install, remedy=f"sudo apt-get install -y {' '.join(packages)}")
    problem = postgres_problem() if postgres else None
    if problem is not None:
        raise SetupError(problem.message, problem.remedy)


def postgres_problem() -> ClusterError | None:
    """Why the private cluster could not start, unless another server is to be used."""
    if os.environ.get("SPACE_RELAY_DATABASE_URL"):
        return None
    try:
        find_binaries()
    except ClusterError as error:
        return error
    return None


def wanted_major() -> int | None:
    """The PostgreSQL that is here already and lacks only its PostGIS."""
    return max(
        (one.major for one in installed() if one.major >= MINIMUM_MAJOR and one.postgis is None),
        default=None,
    )


def missing_tools(*, tests: bool, long: bool = False) -> list[str]:
    """Packages beside PostgreSQL that are missing."""
    missing = []
    if venv_version() is None and importlib.util.find_spec("ensurepip") is None:
        missing.append("python{}.{}-venv".format(*VERSION))
    if tests and not shutil.which("ogrinfo"):
        missing.append("gdal" if sys.platform == "darwin" else "gdal-bin")
    # Debian's own Python has QGIS, not ours. Elsewhere the tests that drive it are skipped.
    if long and shutil.which("apt-get") and not QGIS.is_dir():
        missing.append("python3-qgis")
    return missing


def ways_to_root() -> list[str] | None:
    """What to put before a command that needs root; None when only a person can."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        tried = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return ["sudo", "-n"]
    return None


@contextmanager
def no_main_cluster(privilege: list[str]) -> Iterator[None]:
    """While this lasts, Debian's packages make no server of their own."""
    folder = os.path.dirname(NO_MAIN_CLUSTER)  # noqa: PTH120 - a word for the shell
    call(
        *(*privilege, "sh", "-c", 'mkdir -p "$1" && echo "create_main_cluster = false" > "$2"'),
        *("sh", folder, NO_MAIN_CLUSTER),
    )
    try:
        yield
    finally:
        call(
            *(*privilege, "sh", "-c", 'rm -f "$2"; rmdir "$1" 2>/dev/null || true'),
            *("sh", folder, NO_MAIN_CLUSTER),
        )


def ensure_venv() -> None:
    """A working .venv with a Python that will do."""
    if venv_version() is not None:
        return
    say(f"making .venv with Python {VERSION[0]}.{VERSION[1]}")
    make = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if call(*make) and call(*make, "--without-pip"):
        raise SetupError(
            "The virtual environment .venv could not be made.",
            "sudo apt-get install -y python{}.{}-venv".format(*VERSION),
        )


def venv_version() -> tuple[int, ...] | None:
    """The version of .venv's Python, if it runs and will do."""
    said = output(str(PYTHON), "-c", "import sys; print(*sys.version_info[:2])")
    version = tuple(map(int, said.split()))
    return version if checks.PYTHONS[0] <= version < checks.PYTHONS[1] else None


def ensure_python_packages() -> None:
    """What requirements.lock names, no more and no less, and this project itself."""

    def install() -> None:
        disk = checks.check_disk(VENV)
        if not disk.good:
            raise SetupError(f"Too little room on the disk: {disk.found}.", disk.remedy)
        uv = find_uv()
        say("installing Python packages")
        python = ("--python", str(PYTHON))
        if uv and not call(
            *(*uv, "pip", "sync", *python, "--require-hashes", LOCK.name), **mirror_of_pip()
        ):
            this = (*uv, "pip", "install", *python, "--no-deps", "-e", ".")
            must(*this, remedy=again, **mirror_of_pip())
            return
        # pip knows proxies and mirrors that uv was not told of.
        pip = find_pip()
        if pip is None:
            raise SetupError("The Python packages could not be installed.", again)
        must(*pip, "install", "--require-hashes", "-r", LOCK.name, remedy=again)
        must(*pip, "install", "--no-deps", "-e", ".", remedy=again)

    again = f"{PYTHON} -m pip install --require-hashes -r {LOCK.name}"
    once("python-packages", packages_hash(), install)


@contextmanager
def kernels_compiling() -> Iterator[None]:
    """At the end the search kernels are compiled: else the first firm that asks would wait."""
    sources = sorted((ROOT / "app/matching").rglob("*.py"))
    parts = [packages_hash().encode(), *(path.read_bytes() for path in sources)]
    made_from = hashlib.sha256(b"\0".join(parts)).hexdigest()
    if stamped("kernels", made_from):
        yield
        return
    say("compiling the search kernels (a minute)")
    # Each version of the sources has a folder of its own; those of earlier ones are of no use.
    for kept in (ROOT / "app/matching").rglob("*.nb[ic]"):
        kept.unlink()
    command = [str(PYTHON), "-m", "app", "warm"]
    with started(*command) as compiler:
        yield
        code = compiler.wait()
    succeeded(code, *command, remedy=" ".join(command))
    stamp("kernels", made_from)


def packages_hash() -> str:
    """What the installed Python packages were made from."""
    parts = [
        str(venv_version()).encode(),
        LOCK.read_bytes(),
        (ROOT / "pyproject.toml").read_bytes(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def find_uv() -> list[str] | None:
    """The uv of .venv, which is installed there if need be, or another that works."""
    own = VENV / "bin/uv"
    if output(str(own), "--version"):
        return [str(own)]
    pip = find_pip()
    if pip and not call(*pip, "install", "--quiet", "--disable-pip-version-check", "uv"):
        return [str(own)] if output(str(own), "--version") else None
    if output("uv", "--version"):
        return ["uv"]
    return None


def mirror_of_pip() -> dict[str, str]:
    """What tells uv of the mirror that pip is set to, as is usual in China; kept nowhere."""
    if any(name.startswith("UV_") and "INDEX" in name for name in os.environ):
        return {}
    pip = find_pip() or ["pip"]
    mirror = os.environ.get("PIP_INDEX_URL") or output(*pip, "config", "get", "global.index-url")
    return {"UV_DEFAULT_INDEX": mirror.strip()} if mirror.strip() else {}


def find_pip() -> list[str] | None:
    """A pip that installs into .venv."""
    inside = [str(PYTHON), "-m", "pip"]
    if output(*inside, "--version"):
        return inside
    if output(str(PYTHON), "-m", "ensurepip") and output(*inside, "--version"):
        return inside
    outside = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    return outside if output(*outside, "--version") else None


def lint_steps() -> int:
    """Everything that reads the code without running it."""
    python = str(PYTHON)
    return first_failure(
        [
            ("ruff format", lambda: call(python, "-m", "ruff", "format", "--check", ".")),
            ("ruff check", lambda: call(python, "-m", "ruff", "check", ".")),
            ("mypy", lambda: call(python, "-m", "mypy")),
            ("import rules", lambda: call(str(VENV / "bin/lint-imports"))),
            ("lock hosts", check_lock_hosts),
        ]
    )


def check_lock_hosts() -> int:
    """Refuse locks and settings that tie this repository to one package registry."""
    traces = index_traces(ROOT)
    for trace in traces:
        print(trace)
    if traces:
        print("Locks carry no registry hosts, since mirrors differ:\n  python3 dev.py lock")
    return 1 if traces else 0


def index_traces(root: Path) -> list[str]:
    """Lines of lock and configuration files below ``root`` that name a package registry."""
    traces = []
    for path in files_of(root):
        is_lock = matches(path, LOCK_FILES)
        if not is_lock and not matches(path, CONFIG_FILES):
            continue
        # package-lock.json names the sponsors of packages, which are addresses as well.
        plain = is_lock and path.suffix != ".json"
        lines = (root / path).read_text("utf-8", "replace").splitlines()
        traces += [
            f"{path}:{number}: {line.strip()[:100]}"
            for number, line in enumerate(lines, start=1)
            if INDEX_TRACES.search(line) or (plain and "://" in line)
        ]
    return traces


def files_of(root: Path) -> list[Path]:
    """Files of the repository, or of the folder where it is not one, relative to ``root``."""
    listed = output(
        *("git", "-C", str(root), "ls-files", "-z"),
        *("--cached", "--others", "--exclude-standard"),
    )
    names = [Path(name) for name in listed.split("\0") if name]
    if not names:
        hidden = {".git", ".venv", ".space-relay", "node_modules"}
        names = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
        names = [name for name in names if not hidden & set(name.parts)]
    return sorted(name for name in names if (root / name).is_file())


def matches(path: Path, patterns: tuple[str, ...]) -> bool:
    """Whether the file's name is one of ``patterns``."""
    return any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)


def diagnose() -> list[checks.Check]:
    """All that ``doctor`` looks at."""
    found = [checks.check_python(), check_packages()]
    url = os.environ.get("SPACE_RELAY_DATABASE_URL")
    if url:
        found.append(checks.check_database(url, PYTHON))
    else:
        found += [checks.check_postgres(), checks.check_account()]
        found += [checks.check_cluster(home) for home in cluster_homes() or [HOME]]
    found += [check_venv(), check_locks(), checks.check_port(PORT), checks.check_disk(ROOT)]
    return found


def check_packages() -> checks.Check:
    """System packages beside PostgreSQL."""
    missing = missing_tools(tests=True)
    if not missing:
        return checks.Check("System packages", good=True, found="all here")
    only_tests = all(name.startswith("gdal") for name in missing)
    return checks.Check(
        "System packages",
        good=False,
        found=f"missing: {', '.join(missing)}" + (" (only for tests)" if only_tests else ""),
        remedy=f"sudo apt-get install -y {' '.join(missing)}",
        needed=not only_tests,
    )


def check_venv() -> checks.Check:
    """The virtual environment and whether it is up to date."""
    version = venv_version()
    if version is None:
        found = "not made yet, or its Python does not run"
    elif not stamped("python-packages", packages_hash()):
        found = f"Python {version[0]}.{version[1]}, packages not as {LOCK.name} says"
    else:
        return checks.Check(
            ".venv", good=True, found=f"Python {version[0]}.{version[1]}, packages up to date"
        )
    return checks.Check(".venv", good=False, found=found, remedy="python3 dev.py run")


def check_locks() -> checks.Check:
    """The lock files."""
    missing = [path.name for path in (LOCK, RUNTIME_LOCK) if not path.is_file()]
    traces = index_traces(ROOT)
    if missing:
        found = f"missing: {', '.join(missing)}"
    elif traces:
        found = f"a registry is named in {traces[0].split(':')[0]}"
    else:
        return checks.Check("Locks", good=True, found="hashed, and no registry is named")
    return checks.Check("Locks", good=False, found=found, remedy="python3 dev.py lock")


def cluster_homes() -> list[Path]:
    """Folders in which a private cluster was started before."""
    return sorted({path.parent for path in HOME.glob("**/start.lock")})


def once(name: str, made_from: str, action: Callable[[], None]) -> None:
    """Do ``action`` unless it was done with the same inputs before."""
    if stamped(name, made_from):
        return
    action()
    stamp(name, made_from)


def stamp(name: str, made_from: str) -> None:
    """Note that the step was done with these inputs."""
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / name).write_text(made_from, "ascii")


def stamped(name: str, made_from: str) -> bool:
    """Whether the step was done with these inputs."""
    with suppress(FileNotFoundError):
        return (STAMPS / name).read_text("ascii") == made_from
    return False


Step = tuple[str, Callable[[], int]]


def first_failure(steps: Sequence[Step]) -> int:
    """Run all steps, print the time of each; the exit code of the first that failed."""
    first = 0
    for name, action in steps:
        say(name)
        begun = time.monotonic()
        code = action()
        verdict = "ok" if code == 0 else f"FAILED ({code})"
        say(f"{name}: {verdict} in {time.monotonic() - begun:.1f} s")
        first = first or code
    return first


def must(*command: str, remedy: str, **extra: str) -> None:
    """Run ``command``; where it fails, say what to type to see why."""
    succeeded(call(*command, **extra), *command, remedy=remedy)


def succeeded(code: int, *command: str, remedy: str) -> None:
    """Go on only where ``command`` returned nought; else say what to type to see why."""
    if code == 0:
        return
    disk = checks.check_disk(ROOT, gigabytes=0.05)
    if not disk.good:
        raise SetupError(f"The disk is full: {disk.found}.", disk.remedy, code)
    raise SetupError(f"This failed with exit code {code}: {' '.join(command)}", remedy, code)


def call(*command: str, **extra: str) -> int:
    """Run ``command`` in the checkout, its environment plus ``extra``, until it or we end."""
    with started(*command, **extra) as process:
        return process.wait()


@contextmanager
def started(*command: str, **extra: str) -> Iterator[subprocess.Popen[bytes]]:
    """``command`` runs beside what is done here, and is ended where that ends early."""
    sys.stdout.flush()
    with subprocess.Popen(command, cwd=ROOT, env=environment() | extra) as process:
        try:
            yield process
        except KeyboardInterrupt:
            # The terminal told the child as well; it may have to clean up.
            end(process, signal.SIGTERM, patience=15)
            raise
        except BaseException:
            process.terminate()
            end(process, signal.SIGKILL, patience=15)
            raise


def end(process: subprocess.Popen[bytes], signum: int, *, patience: float) -> None:
    """Wait for ``process``, then insist."""
    try:
        process.wait(patience)
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        process.send_signal(signum)
        process.wait()


def output(*command: str) -> str:
    """What ``command`` prints; nothing if it fails or does not exist."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def environment() -> dict[str, str]:
    """The caller's environment, with .venv first; settings of pip and uv stay as they are."""
    path = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "VIRTUAL_ENV": str(VENV)}


def port_asked_for(arguments: list[str]) -> int:
    """The port that ``serve`` will be given; 0 where that is for ``serve`` to judge."""
    for index, word in enumerate(arguments):
        value = word.partition("=")[2] if word.startswith("--port=") else ""
        if word == "--port" and index + 1 < len(arguments):
            value = arguments[index + 1]
        if value:
            return int(value) if value.isdecimal() and int(value) < 1 << 16 else 0
    return PORT


def say(words: str) -> None:
    """One line about what is going on."""
    print(f"── {words}", flush=True)


def parser() -> argparse.ArgumentParser:
    """The verbs and their options."""
    top = argparse.ArgumentParser(prog="dev.py", description=__doc__.partition("\n")[0])
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, action: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        words = (action.__doc__ or "").partition("\n")[0]
        added = verbs.add_parser(name, help=words, description=words)
        added.set_defaults(action=action, rest=[])
        return added

    verb("run", run)
    verb("test", test).add_argument(
        "--long", action="store_true", help="also the proofs that take minutes"
    )
    verb("bench", bench).add_argument("name", nargs="?", help="a module of benchmarks/")
    verb("lint", lint)
    verb("lock", lock).add_argument(
        "--upgrade", action="store_true", help="take the newest versions"
    )
    verb("audit", audit)
    verb("doctor", doctor)
    verb("clean", clean).add_argument(
        "--data", action="store_true", help="also the private cluster's data"
    )
    return top


def main(words: list[str]) -> int:
    """Do what ``words`` ask for and return the exit code."""
    known, rest = parser().parse_known_args(words)
    if rest and known.action not in (run, test, bench):
        parser().error(f"unknown: {' '.join(rest)}")
    known.rest = rest
    signal.signal(signal.SIGTERM, lambda signum, _frame: sys.exit(128 + signum))
    try:
        code: int = known.action(known)
    except KeyboardInterrupt:
        print()
        return INTERRUPTED
    except SetupError as error:
        print(f"{error}\n  {error.remedy}", file=sys.stderr)
        return error.code
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"The disk is full: {error.filename or ROOT}.\n  df -h {ROOT}", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
