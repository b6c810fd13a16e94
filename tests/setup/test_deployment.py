"""Dockerfile and compose.yaml, read as their engines would, since none may be at hand."""

import fnmatch
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.setup.conftest import ROOT

Instruction = tuple[str, str]


def read_dockerfile() -> list[list[Instruction]]:
    """Its stages, each a list of instructions with their arguments."""
    text = "\n".join(
        line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines()
        if not line.lstrip().startswith("#")
    )  # fmt: skip
    stages: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        assert word.isupper(), f"not an instruction: {line}"
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, rest.strip()))
    return stages


def every(stage: list[Instruction], word: str) -> list[str]:
    return [rest for name, rest in stage if name == word]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps ``path`` from the engine; the last rule that fits decides."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        top = path.split("/", maxsplit=1)[0]
        pattern = rule.removeprefix("!")
        if fnmatch.fnmatch(path, pattern.removeprefix("**/")) or pattern in (top, "*"):
            verdict = not rule.startswith("!")
    return verdict


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return read


def test_the_image_is_built_in_two_stages_from_one_pinned_base() -> None:
    build, final = read_dockerfile()

    assert build[0][1].endswith(" AS build")
    assert build[0][1].removesuffix(" AS build") == final[0][1]
    assert re.fullmatch(r"python:3\.1[123]-slim", final[0][1])
    assert every(final, "RUN") == [run for run in every(final, "RUN") if "pip" not in run]


def test_the_image_has_only_hashed_runtime_packages() -> None:
    build, final = read_dockerfile()
    installs = [run for run in every(build, "RUN") if "pip install" in run]

    assert "--require-hashes -r runtime.lock" in installs[0]
    assert "--no-deps -e ." in installs[1]
    assert len(installs) == 2
    assert "--from=build /opt/venv /opt/venv" in every(final, "COPY")
    assert not every(build, "ADD") + every(final, "ADD")


def test_an_editable_install_finds_the_code_where_the_build_had_it() -> None:
    build, final = read_dockerfile()

    assert every(build, "WORKDIR") == every(final, "WORKDIR") == ["/srv/space-relay"]


def test_the_image_serves_as_nobody_in_particular_and_says_whether_it_is_well() -> None:
    _, final = read_dockerfile()
    words = [word for word, _ in final]

    assert every(final, "USER")[-1].isdigit()
    assert every(final, "USER")[-1] != "0"
    assert words.index("USER") > max(i for i, word in enumerate(words) if word in {"RUN", "COPY"})
    (health,) = every(final, "HEALTHCHECK")
    assert "http://127.0.0.1:8000/healthz" in health
    compile(json.loads(health.partition("CMD ")[2])[2], "HEALTHCHECK", "exec")
    assert [json.loads(command) for command in every(final, "CMD")] == [
        ["space-relay", "serve", "--host", "0.0.0.0"]  # noqa: S104 - inside a container
    ]


def test_all_that_is_copied_exists_and_reaches_the_engine() -> None:
    copied = [
        source
        for stage in read_dockerfile()
        for rest in every(stage, "COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]

    assert {"runtime.lock", "app", "migrations", "data", "alembic.ini"} <= set(copied)
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert [source for source in copied if ignored(source)] == []


@pytest.mark.parametrize("path", [".git", ".venv", ".space-relay", ".env", "tests", "dev.py"])
def test_what_the_image_does_not_need_stays_away_from_the_engine(path: str) -> None:
    assert ignored(path)


def test_every_service_waits_for_what_it_needs(compose: dict[str, Any]) -> None:
    services = compose["services"]

    assert set(services) == {"database", "migrate", "app", "worker"}
    assert services["database"]["healthcheck"]["test"][1] == "pg_isready"
    assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    for name in ("app", "worker"):
        assert services[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"}
        }
    assert services["migrate"]["restart"] == "no"
    assert services["migrate"]["command"] == ["space-relay", "migrate"]
    assert services["worker"]["command"] == ["space-relay", "worker"]
    assert "command" not in services["app"], "the image's own CMD serves"


def test_the_database_keeps_its_data_and_is_reached_from_inside_only(
    compose: dict[str, Any],
) -> None:
    database = compose["services"]["database"]
    major = int(re.findall(r"^postgis/postgis:(\d+)-3\.\d$", database["image"])[0])

    assert major >= 15
    assert database["volumes"] == ["database:/var/lib/postgresql/data"]
    assert "database" in compose["volumes"]
    assert "ports" not in database
    assert compose["services"]["app"]["ports"] == ["127.0.0.1:8000:8000"]


def test_no_password_is_written_down(compose: dict[str, Any]) -> None:
    given = r"\$\{SPACE_RELAY_DB_PASSWORD:\?[^}]+\}"

    password = compose["services"]["database"]["environment"]["POSTGRES_PASSWORD"]
    assert re.fullmatch(given, password)
    for name in ("migrate", "app", "worker"):
        url = compose["services"][name]["environment"]["SPACE_RELAY_DATABASE_URL"]
        assert re.fullmatch(
            rf"postgresql\+psycopg://space_relay:{given}@database:5432/space_relay", url
        )


def test_containers_of_the_application_may_do_little(compose: dict[str, Any]) -> None:
    for name in ("migrate", "app", "worker"):
        service = compose["services"][name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["init"]


def test_docker_reads_the_compose_file_where_its_plugin_is_at_hand(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    has_plugin = docker and not subprocess.run(
        [docker, "compose", "version"], capture_output=True, check=False
    ).returncode  # fmt: skip
    if docker and has_plugin:
        read = subprocess.run(
            [docker, "compose", "-f", ROOT / "compose.yaml", "config", "--quiet"],
            cwd=tmp_path,
            env={"PATH": str(Path(docker).parent), "SPACE_RELAY_DB_PASSWORD": "x"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert read.returncode == 0, read.stderr
    else:
        # No engine: at least every key is one that the compose specification knows.
        known = {
            *("build", "cap_drop", "command", "depends_on", "environment", "healthcheck"),
            *("image", "init", "ports", "read_only", "restart", "security_opt", "shm_size"),
            *("tmpfs", "volumes"),
        }
        read_here = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
        assert {key for one in read_here["services"].values() for key in one} <= known
