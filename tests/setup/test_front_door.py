"""dev.py: what it refuses, what it says, and that it leaves nothing behind."""

import ast
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import dev
from app.database import checks
from app.database.binaries import ClusterError
from tests.setup.conftest import ROOT, eventually, is_gone


def front_door(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "dev.py", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with apt and without root, sudo and PostgreSQL; the folder is its PATH."""
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\nexit 100\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SPACE_RELAY_PG_BINDIR", str(tmp_path))
    monkeypatch.delenv("SPACE_RELAY_DATABASE_URL", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return tmp_path


def test_it_needs_nothing_but_python() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "dev.py", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert all(verb in done.stdout for verb in ("run", "test", "bench", "lint", "doctor"))


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 14, 0)])
def test_another_python_is_refused_in_one_sentence(version: tuple[int, int, int]) -> None:
    script = f"import runpy, sys; sys.version_info = {version}; runpy.run_path('dev.py')"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )

    first, line = done.stderr.splitlines()
    assert done.returncode == 1
    expected = f"needs Python 3.11, 3.12 or 3.13, and this is {version[0]}.{version[1]}."
    assert first.endswith(expected)
    assert line.strip().startswith("python3.1")


def test_an_old_python_can_read_far_enough_to_refuse() -> None:
    ast.parse((ROOT / "dev.py").read_text("utf-8"), feature_version=(3, 7))


def test_the_doctor_lists_what_is_there() -> None:
    done = front_door("doctor", SPACE_RELAY_DATABASE_URL="")

    for name in ("Python", "PostgreSQL", "Server user", "Private cluster", ".venv", "Locks"):
        assert f"  {name} " in done.stdout
    assert ("MISS" in done.stdout) == (done.returncode == 1)
    assert done.stderr == ""


def test_the_doctor_says_what_to_type_for_what_is_missing(tmp_path: Path) -> None:
    done = front_door("doctor", SPACE_RELAY_DATABASE_URL="", SPACE_RELAY_PG_BINDIR=str(tmp_path))

    assert done.returncode == 1
    assert "MISS  PostgreSQL" in done.stdout
    assert "→ unset SPACE_RELAY_PG_BINDIR" in done.stdout


def test_the_doctor_asks_the_database_that_is_named(server_url: str, busy_port: int) -> None:
    good = checks.check_database(server_url)
    bad = checks.check_database(f"postgresql+psycopg://me:secret@127.0.0.1:{busy_port + 1}/x")

    assert good.good, good.found
    assert "with PostGIS 3." in good.found
    assert not bad.good
    assert "secret" not in checks.render([bad])
    assert "unset SPACE_RELAY_DATABASE_URL" in checks.render([bad])


def test_what_is_only_nice_to_have_fails_no_doctor(busy_port: int) -> None:
    check = checks.check_port(busy_port)

    assert not check.good
    assert checks.passed([check])
    assert checks.render([check]).startswith(f"note  Port {busy_port}")
    assert not checks.passed([check._replace(needed=True)])


def test_a_busy_port_is_said_before_any_set_up(busy_port: int) -> None:
    done = front_door("run", "--port", str(busy_port))

    sentence, line = done.stderr.splitlines()
    assert done.returncode == 1
    assert sentence == f"Port {busy_port} is used by another program."
    command, _, free = line.strip().rpartition(" ")
    assert command == "python3 dev.py run --port"
    assert checks.port_is_free(int(free))
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "port"),
    [
        ([], 8000),
        (["--port", "8123"], 8123),
        (["--quiet", "--port=8123"], 8123),
        (["--port", "nonsense"], 0),
        (["--port", "99999"], 0),
    ],
)
def test_the_port_is_read_from_the_servers_arguments(words: list[str], port: int) -> None:
    assert dev.port_asked_for(words) == port


@pytest.mark.usefixtures("unprivileged")
def test_without_sudo_the_exact_line_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code = dev.main(["run", "--port", "0"])

    sentence, *lines = capsys.readouterr().err.splitlines()
    assert code == dev.NEEDS_A_HUMAN == 3
    assert sentence == "System packages are missing, and sudo would ask for your password."
    assert lines[0].startswith("  sudo apt-get update && sudo apt-get install -y ")
    assert "postgresql" in lines[0]


def test_with_a_database_of_ones_own_no_server_is_installed(
    unprivileged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dev.postgres_problem() is not None
    monkeypatch.setenv("SPACE_RELAY_DATABASE_URL", "postgresql://elsewhere/space_relay")

    assert dev.postgres_problem() is None
    dev.ensure_system_packages()


def test_root_installs_what_is_missing_and_gets_no_server_on_port_5432(
    unprivileged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []
    problem = [ClusterError("PostgreSQL is not installed.", "line"), None]

    def call(*command: str) -> int:
        ran.append(command)
        return 0

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(dev, "call", call)
    monkeypatch.setattr(dev, "postgres_problem", lambda: problem.pop(0))
    monkeypatch.setattr(dev, "apt_packages", lambda _: ["postgresql-17", "postgresql-17-postgis-3"])

    dev.ensure_system_packages(tests=True)

    assert problem == []
    update, before, install, after = ran
    assert update[-1] == "update"
    assert "create_main_cluster = false" in before[2]
    assert install[-3:] == ("gdal-bin", "postgresql-17", "postgresql-17-postgis-3")
    assert "DEBIAN_FRONTEND=noninteractive" in install
    assert after[2].startswith("rm -f")


def test_only_the_long_tests_have_qgis_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dev, "QGIS", tmp_path / "qgis")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")

    assert "python3-qgis" in dev.missing_tools(tests=True, long=True)
    assert "python3-qgis" not in dev.missing_tools(tests=True)
    (tmp_path / "qgis").mkdir()
    assert "python3-qgis" not in dev.missing_tools(tests=True, long=True)
    monkeypatch.setattr(dev, "QGIS", tmp_path / "none")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "python3-qgis" not in dev.missing_tools(tests=True, long=True)


def test_an_apt_that_offers_nothing_new_enough(
    unprivileged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(dev, "call", lambda *_: 0)
    monkeypatch.setattr(dev, "apt_packages", lambda _: [])

    with pytest.raises(dev.SetupError, match="offers no PostGIS for PostgreSQL 15") as caught:
        dev.ensure_system_packages()

    assert caught.value.code == dev.NEEDS_A_HUMAN
    assert "postgresql-common" in caught.value.remedy


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    full = checks.Check("Disk", good=False, found="0.0 GB free for /srv", remedy="df -h /srv")
    monkeypatch.setattr(checks, "check_disk", lambda *_, **__: full)

    with pytest.raises(dev.SetupError, match=r"The disk is full: 0\.0 GB free for /srv") as caught:
        dev.must("false", remedy="look")

    assert caught.value.remedy == "df -h /srv"


def test_a_step_is_done_once_for_the_same_inputs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dev, "STAMPS", tmp_path / "stamps")
    done: list[str] = []

    for inputs in ("a", "a", "b", "b", "a"):
        dev.once("step", inputs, lambda inputs=inputs: done.append(inputs))  # type: ignore[misc]

    assert done == ["a", "b", "a"]


def test_a_step_that_failed_is_not_stamped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dev, "STAMPS", tmp_path)

    with pytest.raises(dev.SetupError):
        dev.once("step", "a", lambda: dev.must("false", remedy="look"))

    assert not dev.stamped("step", "a")


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Asked to compile, it waits until the file that is returned exists, and exits with its text.

    Where nobody runs beside it, it gives up and exits with 9.
    """
    python, beside = tmp_path / "python", tmp_path / "beside"
    python.write_text(
        "#!/bin/sh\n"
        f'for i in $(seq 500); do [ -s "{beside}" ] && exit $(cat "{beside}"); sleep 0.02; done\n'
        "exit 9\n"
    )
    python.chmod(0o755)
    monkeypatch.setattr(dev, "PYTHON", python)
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "STAMPS", tmp_path / "stamps")
    monkeypatch.setattr(dev, "packages_hash", lambda: "the same")
    return beside


def test_the_kernels_are_compiled_once_and_beside_something_else(compiler: Path) -> None:
    with dev.kernels_compiling():
        compiler.write_text("0")
    compiler.unlink()

    with dev.kernels_compiling():
        pass  # a compiler would wait in vain


def test_kernels_that_do_not_compile_stop_everything_and_are_not_stamped(compiler: Path) -> None:
    for _ in range(2):
        with pytest.raises(dev.SetupError, match="exit code 7"), dev.kernels_compiling():
            compiler.write_text("7")


def test_all_steps_run_and_the_first_failure_is_the_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps: Sequence[dev.Step] = [
        ("fine", lambda: 0), ("two", lambda: 2), ("one", lambda: 1), ("last", lambda: 0),
    ]  # fmt: skip

    assert dev.first_failure(steps) == 2
    said = capsys.readouterr().out
    assert "two: FAILED (2) in " in said
    assert "last: ok in " in said


def test_pytest_has_the_last_word_and_ci_lets_nothing_be_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[str, ...]] = []

    def call(*command: str, **_: str) -> int:
        ran.append(command)
        sys.stdout.write("== 7 passed ==\n")
        return 0

    monkeypatch.setattr(dev, "set_up", lambda meanwhile, **_: meanwhile())
    monkeypatch.setattr(dev, "steps_before_tests", lambda: 2)
    monkeypatch.setattr(dev, "call", call)
    monkeypatch.setenv("CI", "true")
    assert dev.main(["test"]) == 2
    monkeypatch.delenv("CI")
    assert dev.main(["test", "--long", "-k", "ledger"]) == 2

    assert capsys.readouterr().out.endswith("== 7 passed ==\n")
    assert ran[0][3:] == ("-p", "tests.setup.nothing_skipped", "-n", "2", "-m", "not long")
    assert ran[1][3:] == ("-n", "0", "-m", "long or not long", "-k", "ledger")


@pytest.mark.parametrize(("imported", "code"), [("json", 0), ("nothing_such", 2)])
def test_a_file_of_tests_that_cannot_be_loaded_is_told_before_any_runs(
    imported: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "STAMPS", tmp_path / "stamps")
    monkeypatch.setattr(dev, "packages_hash", lambda: "the same")
    (tmp_path / "tests").mkdir()
    file = tmp_path / "tests" / "test_file.py"
    file.write_text(f"import {imported}\ndef test_it(): assert {imported}\n")

    assert dev.load_tests() == code
    assert ("No module named 'nothing_such'" in capsys.readouterr().out) == (code != 0)
    assert dev.stamped("loaded-tests", "the same") == (code == 0)


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(("plugin", "code"), [([], 0), (["-p", "tests.setup.nothing_skipped"], 1)])
def test_a_skipped_test_fails_the_run_only_with_the_plugin(
    tmp_path: Path, plugin: list[str], code: int, workers: str
) -> None:
    (tmp_path / "test_file.py").write_text("import pytest\npytest.importorskip('nothing_such')\n")
    (tmp_path / "test_sample.py").write_text(
        "import pytest\n"
        "def test_runs(): pass\n"
        "@pytest.mark.xfail\n"
        "def test_fails_as_expected(): assert False\n"
        "@pytest.mark.skip\n"
        "def test_is_skipped(): pass\n"
    )
    words = ["-c", "/dev/null", "--rootdir", str(tmp_path), "-p", "no:cacheprovider", *plugin]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-n", workers, *words, str(tmp_path)],
        cwd=ROOT,
        # Other plugins take longer to load than all of this to run.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    said = done.stdout.splitlines()
    assert done.returncode == code, done.stdout
    assert "1 passed, 2 skipped, 1 xfailed in " in said[-1]
    blamed = [line for line in said if line.startswith("Nothing may be skipped here: ")]
    assert [line.count("test_") for line in blamed] == [3] * len(blamed)
    assert len(blamed) == len(plugin) // 2


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_end_from_outside_leaves_no_child(signum: signal.Signals, tmp_path: Path) -> None:
    noted = tmp_path / "child"
    child = f"import os,time; open({str(noted)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    script = f"""
import sys, dev
dev.run = lambda _: dev.call(sys.executable, "-c", {child!r})
sys.exit(dev.main(["run"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert eventually(lambda: noted.exists() and noted.read_text() != "", 10)
        if signum == signal.SIGINT:
            os.killpg(process.pid, signum)  # as a terminal does on Ctrl-C
        else:
            process.send_signal(signum)
        code = process.wait(10)

    assert code == (dev.INTERRUPTED if signum == signal.SIGINT else 128 + signum)
    assert is_gone(int(noted.read_text()))


def test_no_lock_or_setting_of_this_repository_names_a_registry() -> None:
    assert dev.index_traces(ROOT) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("requirements.lock", "--index-url https://mirror.example/simple"),
        ("runtime.lock", "numpy @ https://mirror.example/numpy.whl"),
        ("runtime.lock", "--find-links ./wheels"),
        ("uv.lock", 'source = { registry = "https://mirror.example/simple" }'),
        ("pylock.toml", 'index = "https://mirror.example/simple"'),
        ("pyproject.toml", "[[tool.uv.index]]"),
        ("pyproject.toml", 'extra-index-url = ["https://mirror.example"]'),
        ("web/package-lock.json", '"resolved": "https://mirror.example/react.tgz",'),
        ("web/.npmrc", "registry=https://mirror.example"),
        ("Dockerfile", "ENV PIP_INDEX_URL=https://mirror.example"),
        (".ci/run", "export UV_DEFAULT_INDEX=https://mirror.example"),
    ],
)
def test_a_planted_registry_is_found_and_nothing_else(tmp_path: Path, name: str, line: str) -> None:
    sponsor = json.dumps({"react": {"integrity": "sha512-x", "funding": {"url": "https://a.b"}}})
    for clean, text in {
        "requirements.lock": "numpy==2.4.6 \\\n    --hash=sha256:00\n",
        "pyproject.toml": '[project]\nname = "x"\n[tool.ruff]\nline-length = 100\n',
        "web/package-lock.json": sponsor,
        "README.md": "pip install --index-url https://mirror.example is your own matter",
    }.items():
        (tmp_path / clean).parent.mkdir(exist_ok=True)
        (tmp_path / clean).write_text(text)
    assert dev.index_traces(tmp_path) == []

    planted = tmp_path / name
    planted.parent.mkdir(exist_ok=True)
    with planted.open("a") as file:
        file.write(f"\n{line}\n")

    (found,) = dev.index_traces(tmp_path)
    assert found.startswith(f"{name}:")
    assert found.endswith(line)


def test_clean_deletes_what_set_up_made_and_keeps_the_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(dev, "HOME", tmp_path / ".space-relay")
    for folder in (".venv", ".mypy_cache", "app", ".space-relay/pg/data-15"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".space-relay/pg/start.lock").touch()

    assert dev.main(["clean"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"app", ".space-relay"}
    assert dev.main(["clean", "--data"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"app"}


def test_an_unknown_benchmark_or_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main(["bench", "nonsense"]) == 1
    assert "There is no benchmark nonsense." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        dev.main(["doctor", "--nonsense"])


def test_the_lock_verb_writes_no_addresses_and_hashes_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[tuple[str, ...]] = []

    def call(*command: str) -> int:
        ran.append(command)
        return 0

    def nothing(**_: object) -> None:
        return None

    monkeypatch.setattr(dev, "call", call)
    monkeypatch.setattr(dev, "find_uv", lambda: ["uv"])
    monkeypatch.setattr(dev, "ensure_venv", nothing)
    monkeypatch.setattr(dev, "ensure_system_packages", nothing)

    assert dev.main(["lock"]) == 0

    wanted = {"--universal", "--generate-hashes", "--no-emit-index-url"}
    assert [command[-1] for command in ran] == ["requirements.lock", "runtime.lock"]
    assert all(wanted <= set(command) for command in ran)
    assert ["--group" in command for command in ran] == [True, False]


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"PIP_INDEX_URL": "https://mirror.example/simple"}, "https://mirror.example/simple"),
        ({"PIP_INDEX_URL": "https://a.example", "UV_INDEX_URL": "https://b.example"}, None),
        ({}, None),
    ],
)
def test_uv_is_told_of_pips_mirror_unless_it_has_its_own(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], told: str | None
) -> None:
    for name in [name for name in os.environ if "INDEX" in name]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dev, "output", lambda *_: "")

    assert dev.mirror_of_pip().get("UV_DEFAULT_INDEX") == told


def test_where_uv_fails_pip_installs_the_same_lock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[tuple[str, ...]] = []

    def call(*command: str, **_: str) -> int:
        ran.append(command)
        return 2 if command[0] == "uv" else 0

    monkeypatch.setattr(dev, "STAMPS", tmp_path)
    monkeypatch.setattr(dev, "call", call)
    monkeypatch.setattr(dev, "find_uv", lambda: ["uv"])
    monkeypatch.setattr(dev, "find_pip", lambda: ["pip"])

    dev.ensure_python_packages()
    dev.ensure_python_packages()

    assert [command[0] for command in ran] == ["uv", "pip", "pip"]
    assert ran[1][1:] == ("install", "--require-hashes", "-r", "requirements.lock")
    assert ran[2][1:] == ("install", "--no-deps", "-e", ".")


def test_continuous_integration_and_make_only_call_the_front_door(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\necho "$CI $PWD $*"\n')
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CI", raising=False)

    said = subprocess.run([ROOT / ".ci/run"], cwd="/", capture_output=True, text=True, check=True)

    assert said.stdout == f"true {ROOT} dev.py test\n"
    verbs = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("VERBS")
    )
    offered: Callable[[], str] = dev.parser().format_help
    assert all(f"    {verb} " in offered() for verb in verbs.split()[2:])
