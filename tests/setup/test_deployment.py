"""Dockerfile and compose.yaml, read as their engines would, since none may be at hand."""

import fnmatch
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import make_url

from app.security.certificates import LOGINS
from tests.setup.conftest import ROOT

Instruction = tuple[str, str]
#: The services that run the application's image.
OURS = ("certificates", "migrate", "app", "worker")


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

    assert set(services) == {*OURS, "database", "proxy"}
    assert services["database"]["healthcheck"]["test"][1] == "pg_isready"
    done = {"condition": "service_completed_successfully"}
    assert services["database"]["depends_on"] == {"certificates": done}
    assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    for name in ("app", "worker"):
        assert services[name]["depends_on"] == {"migrate": done}
    for name in ("certificates", "migrate"):
        assert services[name]["restart"] == "no"
        assert services[name]["command"][:2] == ["space-relay", name]
    assert services["worker"]["command"] == ["space-relay", "worker"]
    assert "command" not in services["app"], "the image's own CMD serves"


def test_the_database_keeps_its_data_and_is_reached_from_inside_only(
    compose: dict[str, Any],
) -> None:
    database = compose["services"]["database"]
    major = int(re.findall(r"^postgis/postgis:(\d+)-3\.\d$", database["image"])[0])

    assert major >= 15
    assert "database:/var/lib/postgresql/data" in database["volumes"]
    assert "database" in compose["volumes"]
    assert set(open_ports(compose)) == {"proxy"}


def open_ports(compose: dict[str, Any]) -> Iterator[str]:
    """The services that anybody outside can connect to."""
    return (name for name, one in compose["services"].items() if one.get("ports"))


def ways_out(compose: dict[str, Any]) -> dict[str, set[str]]:
    """Of each service, the networks that lead out of the machine."""
    networks = compose["networks"]
    return {
        name: {one for one in service.get("networks", ["default"]) if not _is_shut(networks, one)}
        for name, service in compose["services"].items()
        if service.get("network_mode") != "none"
    }


def _is_shut(networks: dict[str, Any], name: str) -> bool:
    return bool((networks.get(name) or {}).get("internal"))


def test_only_the_proxy_and_the_sender_of_webhooks_have_a_way_out(compose: dict[str, Any]) -> None:
    allowed = {"proxy": {"edge"}, "worker": {"outside"}}

    assert {name: out for name, out in ways_out(compose).items() if out} == allowed
    # The two meet inside alone: who gets into the proxy is not yet where webhooks go out.
    assert set(compose["networks"]) == {"edge", "inside", "outside"}
    # Control: a service of which nobody says where it is has a way out, and so has each where
    # the inside is not shut.
    forgotten = {**compose, "services": {**compose["services"], "new": {}}}
    assert ways_out(forgotten)["new"] == {"default"}
    opened = {**compose, "networks": {**compose["networks"], "inside": {}}}
    assert ways_out(opened)["app"] == {"inside"}


def test_the_app_reaches_an_identity_provider_only_where_one_is_set_up(
    compose: dict[str, Any],
) -> None:
    more = yaml.safe_load((ROOT / "deploy" / "identity.yaml").read_text("utf-8"))

    assert set(more["services"]) == {"app"}
    assert more["services"]["app"]["networks"] == ["inside", "identity"]
    assert not any(name.startswith("SPACE_RELAY_OIDC") for name in environment(compose, "app"))
    assert "SPACE_RELAY_OIDC_ISSUER" in more["services"]["app"]["environment"]


def environment(compose: dict[str, Any], name: str) -> dict[str, str]:
    given: dict[str, str] = compose["services"][name].get("environment", {})
    return given


def test_each_part_has_a_login_and_a_certificate_of_its_own_and_no_password(
    compose: dict[str, Any],
) -> None:
    parts = {
        ("migrate", "SPACE_RELAY_DATABASE_URL"): "migrator",
        ("app", "SPACE_RELAY_DATABASE_URL"): "server",
        ("app", "SPACE_RELAY_PUBLIC_DATABASE_URL"): "visitor",
        ("worker", "SPACE_RELAY_DATABASE_URL"): "worker",
    }
    assert set(parts.values()) == set(LOGINS)
    for (name, setting), login in parts.items():
        url = make_url(environment(compose, name)[setting])
        assert (url.username, url.password, url.host) == (login, None, "database")
        assert url.query == {
            "sslmode": "verify-full",
            "sslrootcert": f"/tls/{login}/authority.pem",
            "sslcert": f"/tls/{login}/certificate.pem",
            "sslkey": f"/tls/{login}/key.pem",
        }
    mounted = {
        name: {one for one in service.get("volumes", ()) if one.startswith("tls_")}
        for name, service in compose["services"].items()
    }
    # Nobody has the certificate of another, and who makes them all is connected to nothing.
    assert mounted == {
        "certificates": {f"tls_{one}:/tls/{one}" for one in (*LOGINS, "database")},
        "database": {"tls_database:/tls:ro"},
        "migrate": {"tls_migrator:/tls/migrator:ro"},
        "app": {"tls_server:/tls/server:ro", "tls_visitor:/tls/visitor:ro"},
        "worker": {"tls_worker:/tls/worker:ro"},
        "proxy": set(),
    }
    assert compose["services"]["certificates"]["network_mode"] == "none"
    command = compose["services"]["certificates"]["command"]
    owners = {one for one in command if "=" in one}
    assert owners == {"database=999", *(f"{one}=10001" for one in LOGINS)}
    (user,) = every(read_dockerfile()[1], "USER")
    assert user == "10001"


def test_rules_of_the_database_let_nobody_in_by_a_password() -> None:
    rules = [
        line.split()
        for line in (ROOT / "deploy" / "pg_hba.conf").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]

    assert {(rule[0], rule[-1]) for rule in rules} == {("local", "peer"), ("hostssl", "cert")}
    assert {one for rule in rules[1:] for one in rule[2].split(",")} == set(LOGINS)
    assert "PASSWORD" not in (ROOT / "deploy" / "logins.sql").read_text("utf-8")


def test_no_secret_is_written_down_and_each_comes_from_a_file(compose: dict[str, Any]) -> None:
    assert set(compose["secrets"]) == {"secret_key"}
    assert compose["secrets"]["secret_key"]["file"].startswith("${SPACE_RELAY_SECRETS:-")
    readers = {
        name for name, one in compose["services"].items() if "secret_key" in one.get("secrets", ())
    }
    assert readers == {"app", "worker"}
    for name in compose["services"]:
        for variable, value in environment(compose, name).items():
            assert not re.search(r"KEY$|PASSWORD$|TOKEN$|SECRET$", variable), (name, variable)
            assert not re.search(r"://[^/@]*:[^/@]*@", value), (name, variable)
    # Neither the repository nor the image takes them up.
    assert "secrets/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert ignored("secrets")


def test_what_the_proxy_says_is_believed_and_nobody_else(compose: dict[str, Any]) -> None:
    address = compose["services"]["proxy"]["networks"]["inside"]["ipv4_address"]

    assert json.loads(environment(compose, "app")["SPACE_RELAY_TRUSTED_PROXIES"]) == [address]
    (network,) = compose["networks"]["inside"]["ipam"]["config"]
    assert ip_address(address) in ip_network(network["subnet"])
    assert environment(compose, "app")["SPACE_RELAY_PUBLIC_URL"].startswith("https://")
    proxy = (ROOT / "deploy" / "Caddyfile").read_text("utf-8")
    # The service refuses plain HTTP and must be told of it; figures stay inside.
    assert "auto_https disable_redirects" in proxy
    assert "respond /metrics 404" in proxy


def test_logs_are_bounded_here_and_leave_over_tls_where_told(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["logging"]["driver"] == "local", name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    away = yaml.safe_load((ROOT / "deploy" / "logs.yaml").read_text("utf-8"))["services"]
    assert set(away) == set(compose["services"])
    for name, service in away.items():
        options = service["logging"]["options"]
        assert service["logging"]["driver"] == "syslog", name
        assert options["syslog-address"].startswith("tcp+tls://${SPACE_RELAY_LOG_ADDRESS:?")
        assert "syslog-tls-skip-verify" not in options
        assert options["syslog-tls-ca-cert"].startswith("${SPACE_RELAY_LOG_AUTHORITY:?")


def test_containers_of_the_application_may_do_little(compose: dict[str, Any]) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["init"]
    assert compose["services"]["proxy"]["cap_drop"] == ["ALL"]
    # Who makes the certificates gives them to their readers, and can do nothing else.
    more = {name: one["cap_add"] for name, one in compose["services"].items() if "cap_add" in one}
    assert more == {"certificates": ["CHOWN"], "proxy": ["NET_BIND_SERVICE"]}
    assert [name for name, one in compose["services"].items() if one.get("user") == "0"] == [
        "certificates"
    ]


def test_docker_reads_the_compose_file_where_its_plugin_is_at_hand(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    has_plugin = docker and not subprocess.run(
        [docker, "compose", "version"], capture_output=True, check=False
    ).returncode  # fmt: skip
    if docker and has_plugin:
        read = subprocess.run(
            [docker, "compose", "-f", ROOT / "compose.yaml", "config", "--quiet"],
            cwd=tmp_path,
            env={"PATH": str(Path(docker).parent), "SPACE_RELAY_HOST": "space.example.invalid"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert read.returncode == 0, read.stderr
    else:
        # No engine: at least every key is one that the compose specification knows.
        known = {
            *("build", "cap_add", "cap_drop", "command", "depends_on", "environment"),
            *("healthcheck", "image", "init", "logging", "network_mode", "networks", "ports"),
            *("read_only", "restart", "secrets", "security_opt", "shm_size", "tmpfs", "user"),
            "volumes",
        }
        read_here = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
        assert {key for one in read_here["services"].values() for key in one} <= known
