"""A private PostgreSQL with PostGIS that lives and ends with the process that started it.

Standard library only: ``dev.py`` loads this file before anything is installed.

What it keeps in ``home`` (or below ``/var/lib/space-relay``, see ``Cluster``):

- ``data-<major>``: the database files, which belong to one major version;
- ``postgres.log``: what the server said;
- ``start.lock``: held while a start is under way, so that two starts make one server;
- ``alive.lock``: held by the server and each of its children, by inheritance. The kernel
  gives it back when the last of them is gone, however they ended. That says more than
  ``postmaster.pid``, whose number may be a zombie or, after a reboot, somebody else.
"""

import atexit
import errno
import fcntl
import hashlib
import logging
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import quote

from app.database.binaries import (
    OWN_SERVER,
    ClusterError,
    PostgresBinaries,
    find_binaries,
    install_line,
)

__all__ = ["Cluster", "ClusterError", "PostgresBinaries", "find_binaries"]

DATABASE = "space_relay"
ROLE = "space_relay"
EXTENSIONS = ("postgis", "btree_gist")
SYSTEM_FOLDER = Path("/var/lib/space-relay")

# The socket lies in a private folder, so the port is only a part of its name.
_PORT = 5432
_SOCKET_NAME = f".s.PGSQL.{_PORT}"
_SOCKET_PATH_MAX = 107 if sys.platform == "linux" else 103
_LAUNCHER = Path(__file__).with_name("launcher.py")
_LOG_MAX_BYTES = 5_000_000
_NEEDED_FREE_BYTES = 200_000_000
_START_SECONDS = 60
_RECOVERY_SECONDS = 600
_POLL_SECONDS = 0.02
# Before a server that died is started anew: a short rest, and a longer one each time in vain.
_REST_SECONDS = 0.2
_LONGEST_REST_SECONDS = 5.0

_log = logging.getLogger(__name__)

# What the server may know of the caller's surroundings. Not its locale (initdb refuses
# unknown ones), not PG* (they point elsewhere), not PROJ_* (another PROJ's data breaks
# ST_Transform), and no secrets.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HOME")

_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",  # the reference load is one burst
    "jit": "off",  # costs more than it gives on queries of milliseconds
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
}
_CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Account(NamedTuple):
    """A user of the system."""

    uid: int
    gid: int
    name: str


class _Record(NamedTuple):
    """The lines of ``postmaster.pid`` that matter here."""

    pid: int
    port: int
    sockets: Path


class Cluster:
    """A PostgreSQL server of our own, reached through a unix socket only.

    ``start`` makes the database files if there are none, starts the server as a child of
    this process, or attaches to the server that already runs on these files. The server
    ends with ``stop``, at exit, and on Linux also when this process is killed. Should it die
    before that (killed for want of memory, a full disk), a thread starts it anew on the same
    files and socket, so ``url`` stays good; its last clients lose their connections.

    Root must not run PostgreSQL, so then the server runs as the user ``postgres`` (or
    ``nobody``, or whoever owns the files already). Where that user cannot enter ``home``
    (a checkout below root's home), the files go below ``/var/lib/space-relay`` and the file
    ``location`` in ``home`` says where. No permission of an existing folder is changed.

    Linux sends the parent's death signal when the *thread* that started the child ends,
    so ``start`` refuses to start a server from any thread but the main one. The thread that
    keeps the server up may, as it lasts as long as the process.

    Args:
        home: folder of the cluster; made when it does not exist.
        durable: False switches off everything that protects the data from a crash of
            the machine, and leaves a server that died dead. For tests only.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home.expanduser().resolve()
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._starter = 0
        self._record: _Record | None = None
        self._log: Path | None = None
        # Held while the server is started or stopped: by the caller or by the keeper.
        self._change = threading.RLock()
        self._ending = threading.Event()
        self._keeper: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database, once started."""
        record = self._started()
        host = quote(str(record.sockets), safe="")
        return f"postgresql+psycopg://{ROLE}@/{DATABASE}?host={host}&port={record.port}"

    @property
    def pid(self) -> int:
        """Process id of the server, once started."""
        return self._started().pid

    @property
    def attached(self) -> bool:
        """Whether the server belongs to another process, so that ``stop`` leaves it."""
        return self._record is not None and self._process is None

    def is_running(self) -> bool:
        """Whether the server of this object is up."""
        if self._record is None:
            return False
        if self._process is not None and self._starter == os.getpid():
            return self._process.poll() is None
        return _answers(self._record)

    def start(self) -> None:
        """Bring the server up; afterwards ``url`` leads to a database with PostGIS.

        Raises:
            ClusterError: it cannot be done; says why and what to do.
        """
        with self._change:
            if self.is_running():
                return
            if self._keeper is None:
                self._ending = threading.Event()
            try:
                self._bring_up()
            except BaseException:
                self.stop()
                raise
            if self.attached:
                return
            atexit.unregister(self.stop)
            atexit.register(self.stop)
            if self._durable and self._keeper is None:
                self._keeper = threading.Thread(
                    target=self._keep_up, args=(self._ending,), name="cluster-keeper", daemon=True
                )
                self._keeper.start()

    def stop(self) -> None:
        """End the server if this object started it, and wait until it is gone."""
        if self._starter != os.getpid():  # attached to all the time, or a fork: without the keeper
            self._forget()
            return
        self._ending.set()
        with self._change:
            record = self._record
            if not self.attached and record is not None:
                self._end()
                shutil.rmtree(record.sockets, ignore_errors=True)
            self._forget()

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        # Fast, then immediate (recovery at the next start), then not to be refused.
        for patience, signum in ((30, signal.SIGINT), (10, signal.SIGQUIT)):
            process.send_signal(signum)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                return
        process.kill()
        process.wait()

    def _keep_up(self, ending: threading.Event) -> None:
        """Start the server anew whenever it is gone, until ``ending``."""
        rest = _REST_SECONDS
        while not ending.is_set():
            process = self._process
            if process is not None:
                process.wait()
            elif self.is_running():  # another process was faster to start it
                ending.wait(1)
                continue
            if ending.wait(rest):
                return
            with self._change:
                if ending.is_set() or self.is_running():
                    continue
                if rest == _REST_SECONDS:
                    _log.error("the private PostgreSQL died; starting it anew")
                try:
                    self._bring_up()
                except ClusterError as error:
                    if not ending.is_set():
                        _log.error("%s", error)
                    rest = min(rest * 2, _LONGEST_REST_SECONDS)
                else:
                    rest = _REST_SECONDS
                    _log.warning("the private PostgreSQL is back")

    def destroy(self) -> None:
        """Stop the server and delete its data for good."""
        if self.attached:
            raise ClusterError(
                f"The cluster of {self.home} is in use by another process.",
                f"kill -INT {self.pid}   # ends the server cleanly",
            )
        self.stop()
        base = _noted(self.home) or self.home
        for data in _data_folders(base).values():
            record = _read_record(data)
            if record is not None and _answers(record):
                raise ClusterError(
                    f"A server still runs on {data}.",
                    f"kill -INT {record.pid}   # ends it cleanly",
                )
        if base != self.home:
            shutil.rmtree(base)
        for name in ("data-*", "new-data-*", "postgres.log*", "*.lock", "location"):
            for path in self.home.glob(name):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    def describe(self) -> str:
        """Where the data is and whether a server runs on it, without starting one."""
        try:
            base = _noted(self.home) or self.home
            folders = _data_folders(base)
            if not folders:
                return f"none yet in {base}; the first start makes it"
            data = folders[max(folders)]
            record = _read_record(data)
        except PermissionError as error:
            return f"in {error.filename}, which only its owner may look into"
        if record is not None and _answers(record):
            return f"{data}, running as process {record.pid}"
        return f"{data}, not running"

    def _started(self) -> _Record:
        if self._record is None:
            raise ClusterError("The private cluster is not running.", "call start() first")
        return self._record

    def _forget(self) -> None:
        atexit.unregister(self.stop)
        self._process = self._record = self._keeper = None

    def _bring_up(self) -> None:
        try:
            _refuse_data_of_root(self.home)
            self.home.mkdir(parents=True, exist_ok=True)
            with _held(self.home / "start.lock"):
                self._start()
        except OSError as error:
            raise _explain(error, self.home) from error

    def _start(self) -> None:
        base, account = _settle(self.home, durable=self._durable)
        data, binaries = _choose(base)
        if data.exists():
            account = _check_owner(data, account)
        if account is not None and not _enters(account, base):
            raise ClusterError(
                f"The user {account.name} owns the data in {base} but can no longer enter it.",
                f"sudo -u {account.name} ls {base}   # shows the folder that is closed",
            )
        record, alive = _running(base, data)
        if record is not None:
            self._process, self._record = None, record
            return
        if alive is None:
            raise ClusterError(
                f"Another process still uses the data in {data}.",
                f"cat {data}/postmaster.pid   # its first line is the process to end",
            )
        with os.fdopen(alive, "wb"):
            if not data.exists():
                _initialise(binaries, data, account, durable=self._durable)
            self._spawn(binaries, base, data, account, alive)
        try:
            self._await()
            self._fill(binaries)
        except BaseException:
            self._end()
            raise

    def _spawn(
        self,
        binaries: PostgresBinaries,
        base: Path,
        data: Path,
        account: Account | None,
        alive: int,
    ) -> None:
        if threading.current_thread() not in (threading.main_thread(), self._keeper):
            message = "a cluster must be started from the main thread, see Cluster"
            raise RuntimeError(message)
        before = None if self._record is None else self._record.sockets
        sockets = _socket_folder(data, account, before)
        settings = _SETTINGS | {"unix_socket_directories": str(sockets)}
        if not self._durable:
            settings |= _CARELESS
        identity = ("-", "-") if account is None else (str(account.uid), str(account.gid))
        command = [
            *(sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *identity),
            *(str(binaries.program("postgres")), "-D", str(data)),
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ]
        self._log = base / "postgres.log"
        if self._log.exists() and self._log.stat().st_size > _LOG_MAX_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        self._log.touch(mode=0o600)  # statements that failed stand in it
        with self._log.open("ab") as log:
            log.write(f"--- start of PostgreSQL {binaries.version}\n".encode())
            log.flush()
            self._starter = os.getpid()
            self._process = subprocess.Popen(  # noqa: S603 - programs found on this machine
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                pass_fds=(alive,),
                # Ctrl-C must reach us alone: the server ends after its last client.
                start_new_session=True,
            )
        self._record = _Record(self._process.pid, _PORT, sockets)

    def _await(self) -> None:
        process, record, log = self._process, self._record, self._log
        if process is None or record is None or log is None:
            message = "awaits a server that was not spawned"
            raise RuntimeError(message)
        begun = time.monotonic()
        while (code := _probe(record)) != "":
            waited = time.monotonic() - begun
            if process.poll() is not None or self._ending.is_set():
                raise _explain_log(log)
            if waited > (_RECOVERY_SECONDS if code == "57P03" else _START_SECONDS):
                raise ClusterError(
                    f"PostgreSQL did not get ready within {waited:.0f} seconds.",
                    f"tail -n 20 {log}",
                )
            time.sleep(_POLL_SECONDS)

    def _fill(self, binaries: PostgresBinaries) -> None:
        self._psql(
            binaries,
            "postgres",
            f"SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS "  # noqa: S608 - a constant
            f"(SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec\n",
        )
        self._psql(
            binaries,
            DATABASE,
            "SET client_min_messages = warning;\n"
            + "".join(f"CREATE EXTENSION IF NOT EXISTS {name};\n" for name in EXTENSIONS),
        )

    def _psql(self, binaries: PostgresBinaries, database: str, script: str) -> None:
        record = self._started()
        done = subprocess.run(  # noqa: S603 - programs found on this machine
            [
                *(str(binaries.program("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1"),
                *("-h", str(record.sockets), "-p", str(record.port), "-U", ROLE, "-d", database),
            ],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=_environment(),
        )
        if done.returncode:
            raise _explain_output(
                done.stderr,
                f"The database could not be prepared: {_last_line(done.stderr)}",
                self._log,
            )


def _refuse_data_of_root(home: Path) -> None:
    noted = _noted(home)
    if noted is not None and os.geteuid() != 0:
        raise ClusterError(
            f"The data of {home} was made by root and lies in {noted}.",
            f"run the same line with sudo, or start afresh: sudo rm {home}/location",
        )


def _settle(home: Path, *, durable: bool) -> tuple[Path, Account | None]:
    """The folder that holds the data of ``home``, and the user who is to own it."""
    if os.geteuid() != 0:
        return home, None
    account = service_account()
    noted = _noted(home)
    if noted is not None:
        (noted / "home").write_text(f"{home}\n", "utf-8")
        return noted, account
    if _data_folders(home) or _enters(account, home):
        return home, account
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    base = SYSTEM_FOLDER / name
    for folder in (SYSTEM_FOLDER, base):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o711)  # whatever the umask is: the service user walks through
    (base / "home").write_text(f"{home}\n", "utf-8")
    (home / "location").write_text(f"{base}\n", "utf-8")
    if not durable:
        (base / "throw-away").touch()
        _sweep()
    return base, account


def _sweep() -> None:
    """Delete what killed test runs left below the system folder: theirs only, never data."""
    for mark in SYSTEM_FOLDER.glob("*/throw-away"):
        base = mark.parent
        try:
            home = Path((base / "home").read_text("utf-8").strip())
        except FileNotFoundError:
            continue  # another run is deleting it
        if home.exists() or (alive := _try_lock(base / "alive.lock")) is None:
            continue
        shutil.rmtree(base, ignore_errors=True)
        os.close(alive)


def _noted(home: Path) -> Path | None:
    """Where ``location`` in ``home`` points, unless it is a copy of another home's.

    A checkout that was moved keeps its data; one that was copied must not share it.
    """
    try:
        base = Path((home / "location").read_text("utf-8").strip())
        owner = Path((base / "home").read_text("utf-8").strip())
    except (FileNotFoundError, NotADirectoryError):
        return None
    if base.parent != SYSTEM_FOLDER:
        return None
    return base if owner == home or not (owner / "location").exists() else None


def service_account() -> Account:
    """The user that a cluster started by root runs as."""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid, name)
    raise ClusterError(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody here.",
        f"useradd --system postgres\n  {OWN_SERVER}",
    )


def _enters(account: Account, folder: Path) -> bool:
    """Whether ``account`` may walk into ``folder``; asked of the system, which knows of ACLs."""
    done = subprocess.run(  # noqa: S603 - a fixed script, the folder is an argument
        ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        env=_environment(),
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


def _data_folders(base: Path) -> dict[int, Path]:
    return {
        int(found[1]): folder
        for folder in base.glob("data-*")
        if (found := re.fullmatch(r"data-(\d+)", folder.name))
    }


def _choose(base: Path) -> tuple[Path, PostgresBinaries]:
    """The data folder to use and the programs that fit it."""
    folders = _data_folders(base)
    try:
        newest = find_binaries()
    except ClusterError:
        if not folders:
            raise
        newest = None
    if newest is not None and (newest.major in folders or not folders):
        return base / f"data-{newest.major}", newest
    major = max(folders)
    try:
        return folders[major], find_binaries(major)
    except ClusterError as error:
        raise ClusterError(
            f"The data in {folders[major]} was made by PostgreSQL {major}, "
            f"and only that version can read it: {error.message}",
            f"{install_line(major)}\n  or start afresh: mv {folders[major]} {folders[major]}.old",
        ) from error


def _check_owner(data: Path, account: Account | None) -> Account | None:
    """The account that owns ``data``; root takes it on, anybody else must be it."""
    uid = data.stat().st_uid
    if account is None:
        if uid != os.geteuid():
            raise ClusterError(
                f"The data in {data} belongs to the user {_user_name(uid)}.",
                f"run the same line with sudo, or start afresh: sudo mv {data} {data}.old",
            )
        return None
    if uid == account.uid:
        return account
    if uid == 0:
        raise ClusterError(
            f"The data in {data} belongs to root, and PostgreSQL refuses to run as root.",
            f"chown -R {account.name} {data}",
        )
    return Account(uid, data.stat().st_gid, _user_name(uid))


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _running(base: Path, data: Path) -> tuple[_Record | None, int | None]:
    """The server that runs on ``data``, or the right to start one: the held ``alive.lock``.

    Waits while a server is neither ready nor gone. Neither comes back if that lasts.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        alive = _try_lock(base / "alive.lock")
        record = _read_record(data)
        if record is not None and _answers(record):
            if alive is not None:
                os.close(alive)  # somebody started it by hand
            return record, None
        if alive is not None and (record is None or not _serves(record.pid, data)):
            # Nobody is left, so the record is a leftover. PostgreSQL itself would refuse
            # when its number is now a zombie's or another process's of the same user.
            (data / "postmaster.pid").unlink(missing_ok=True)
            return None, alive
        if alive is not None:
            os.close(alive)
        elif record is not None and not _serves(record.pid, data):
            _end_orphans(data)
        if time.monotonic() > deadline:
            return None, None
        time.sleep(_POLL_SECONDS)


def _read_record(data: Path) -> _Record | None:
    try:
        lines = (data / "postmaster.pid").read_text("utf-8").splitlines()
        return _Record(int(lines[0]), int(lines[3]), Path(lines[4]))
    except (FileNotFoundError, IndexError, ValueError):
        return None  # none, or written at this moment


def _serves(pid: int, data: Path) -> bool:
    """Whether ``pid`` is a living server on ``data``: its working directory is its data."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cwd").samefile(data)
        except OSError:  # gone, a zombie, or another user's
            return False
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def _end_orphans(data: Path) -> None:
    """Kill what a server that died left busy: it would hold up the next one until it is done.

    As the server is gone, nobody shares their memory, and what they wrote is as after any crash.
    Elsewhere than on Linux they end by themselves, at their next wait.
    """
    for name in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):  # gone meanwhile, or another user's
            if name.read_text("utf-8") == "postgres\n" and _serves(int(name.parent.name), data):
                os.kill(int(name.parent.name), signal.SIGKILL)


def _answers(record: _Record) -> bool:
    return _probe(record) == ""


def _probe(record: _Record) -> str:
    """Ask the server to let us in: "" if it does, its SQLSTATE if not, "-" if none is there."""
    words = f"user\0{ROLE}\0database\0postgres\0\0".encode()
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(str(record.sockets / f".s.PGSQL.{record.port}"))
            link.sendall(struct.pack("!ii", 8 + len(words), 3 << 16) + words)
            answer = link.recv(4096)
            if answer[:1] == b"R":
                link.sendall(b"X\0\0\0\4")
                return ""
    except OSError:
        return "-"
    code = re.search(rb"\0C([0-9A-Z]{5})\0", answer)
    # Full is up as well.
    return "" if code and code[1] == b"53300" else code[1].decode() if code else "-"


def _initialise(
    binaries: PostgresBinaries, data: Path, account: Account | None, *, durable: bool
) -> None:
    """Make the database files; ``data`` appears only once they are complete."""
    free = shutil.disk_usage(data.parent).free
    if free < _NEEDED_FREE_BYTES:
        raise _disk_full(data.parent)
    fresh = data.with_name(f"new-{data.name}")
    shutil.rmtree(fresh, ignore_errors=True)  # of a start that was broken off
    fresh.mkdir(mode=0o700)
    if account is not None:
        os.chown(fresh, account.uid, account.gid)
    locale = "C.UTF-8" if sys.platform == "linux" else "C"
    done = subprocess.run(  # noqa: S603 - programs found on this machine
        [
            *(str(binaries.program("initdb")), "-D", str(fresh), "-U", ROLE, "-A", "trust"),
            *("--encoding=UTF8", f"--locale={locale}", *([] if durable else ["--no-sync"])),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd="/",
        env=_environment(),
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        raise _explain_output(
            done.stdout,
            f"The database files could not be made: {_last_line(done.stdout)}",
            data.parent,
        )
    fresh.rename(data)


def _socket_folder(data: Path, account: Account | None, before: Path | None) -> Path:
    """A private folder with a path short enough for a socket; the same one each time.

    ``before`` is the one that clients of a server that died know.
    """
    if before is not None:
        with suppress(OSError):
            return _private_folder(before.parent, before.name, account)
    name = f"space-relay-{hashlib.sha256(os.fsencode(data)).hexdigest()[:10]}"
    places = dict.fromkeys(Path(place) for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"))  # noqa: S108 - made 0700 below
    for place in places:
        if len(os.fsencode(place / name / _SOCKET_NAME)) > _SOCKET_PATH_MAX:
            continue
        if account is not None and not _enters(account, place):
            continue
        with suppress(OSError):
            return _private_folder(place, name, account)
    raise ClusterError(
        f"No folder is short enough for a socket's path (at most {_SOCKET_PATH_MAX} bytes) "
        f"and open to the server: {', '.join(map(str, places))}.",
        "export TMPDIR=/tmp",
    )


def _private_folder(place: Path, name: str, account: Account | None) -> Path:
    uid = os.geteuid() if account is None else account.uid
    folder = place / name
    with suppress(FileNotFoundError):
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not found.st_mode & 0o077:
            # Nobody serves from it (alive.lock is ours), so its files are leftovers.
            for leftover in folder.iterdir():
                leftover.unlink()
            return folder
        # Somebody else sits on the name; a temporary folder is open to all.
        return _given(Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place)), account)
    folder.mkdir(mode=0o700)
    return _given(folder, account)


def _given(folder: Path, account: Account | None) -> Path:
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


@contextmanager
def _held(path: Path) -> Iterator[None]:
    deadline = time.monotonic() + _RECOVERY_SECONDS
    while (lock := _try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise ClusterError(
                f"Another process has been starting the cluster of {path.parent} for long.",
                f"fuser {path}   # shows it",
            )
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        os.close(lock)


def _try_lock(path: Path) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {"PATH": os.defpath} | kept | {"LC_ALL": "C"}


def _explain(error: OSError, home: Path) -> ClusterError:
    where = Path(error.filename) if isinstance(error.filename, str) else home
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _disk_full(where)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ClusterError(
            f"{where} cannot be used: {error.strerror}.",
            "use the user who made it, or: export SPACE_RELAY_HOME=$HOME/space-relay",
        )
    return ClusterError(f"The private cluster cannot start: {error}.", OWN_SERVER)


def _disk_full(where: Path) -> ClusterError:
    return ClusterError(
        f"The disk that holds {where} is full.",
        f"df -h {where}   # free 1 GB there, then try again",
    )


def _explain_log(log: Path) -> ClusterError:
    text = log.read_text("utf-8", "replace").rpartition("--- start of")[2]
    said = [line for line in text.splitlines() if re.search(r"FATAL|PANIC|ERROR|error", line)]
    last = re.sub(r"^.*?(FATAL|PANIC|ERROR):\s*", "", said[-1]) if said else _last_line(text)
    return _explain_output(text, f"PostgreSQL did not start: {last.rstrip('.')}.", log)


def _explain_output(text: str, message: str, where: Path | None) -> ClusterError:
    if "No space left on device" in text or "Disk quota exceeded" in text:
        place = re.search(r'"(/[^"]*)"', text)
        return _disk_full(Path(place[1]) if place else where or Path("/"))
    if "invalid locale" in text or "locale settings" in text:
        return ClusterError(
            "This system does not know the locale C.UTF-8.",
            "sudo localedef -i POSIX -f UTF-8 C.UTF-8",
        )
    if "could not access file" in text or "could not load library" in text:
        return ClusterError(f"{message} PostGIS is damaged or half installed.", install_line())
    return ClusterError(message, f"tail -n 20 {where}" if where and where.is_file() else OWN_SERVER)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
