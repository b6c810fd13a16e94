"""Settings, from the environment only (prefix ``SPACE_RELAY_``)."""

import re
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

_ROOT = Path(__file__).resolve().parent.parent

#: The classes of calls that are counted together (app/routers/rates.py).
RateName = Literal["sign-in", "expensive", "write", "tiles", "public-read", "read"]


#: Bits of a secret file's mode that must not be set: others may do nothing, the group may read.
TOO_OPEN = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


class SettingError(Exception):
    """A setting cannot be used: one sentence that repeats no value, and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        """``remedy`` is a line to type, or a thing to change."""
        super().__init__(message)
        self.remedy = remedy


class Settings(BaseSettings):
    """Everything that may differ between two installations.

    Of a secret the value counts before the file with it.
    """

    # What cannot be read may be a secret that was set in the wrong place: no error repeats it.
    model_config = SettingsConfigDict(
        env_prefix="SPACE_RELAY_", extra="ignore", hide_input_in_errors=True
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL ≥ 15 with PostGIS ≥ 3.3; unset starts a private cluster",
    )
    database_url_file: Path | None = Field(
        default=None, description="a file that holds the URL instead, for the password's sake"
    )
    home: Path = Field(
        default=_ROOT / ".space-relay", description="where the private cluster and keys live"
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="keys that seal secrets in the database, as in the key file, apart by commas",
    )
    secret_key_file: Path | None = Field(
        default=None, description="the file of these keys; unset: made below home when needed"
    )
    data_dir: Path = Field(default=_ROOT / "data", description="reference data")
    snapshot_dir: Path | None = Field(
        default=None,
        description="where snapshots are kept for all processes of a machine; unset: below home",
    )
    snapshot_age_max_seconds: float = Field(
        default=30.0, gt=0, description="an older snapshot makes the service not ready, seconds"
    )
    public_database_url: SecretStr | None = Field(
        default=None,
        description="the same database by another login, for callers without a key; unset: the"
        " same login",
    )
    public_database_url_file: Path | None = Field(
        default=None, description="a file that holds that URL instead"
    )
    pool_size: int = Field(
        default=16, ge=1, le=200, description="database connections a process, for known callers"
    )
    public_pool_size: int = Field(
        default=8, ge=1, le=200, description="database connections for callers without a key"
    )
    statement_timeout_ms: int = Field(
        default=15_000, ge=100, description="longest statement of a request, milliseconds"
    )
    firm_statement_timeout_ms: int = Field(
        default=5_000, ge=100, description="the same for firms, milliseconds"
    )
    public_statement_timeout_ms: int = Field(
        default=2_000, ge=100, description="the same for callers without a key, milliseconds"
    )
    idle_in_transaction_timeout_ms: int = Field(
        default=10_000,
        ge=1_000,
        description="a request that leaves its transaction idle for so long is cut off,"
        " milliseconds",
    )
    lock_timeout_ms: int = Field(
        default=2_000, ge=100, description="longest wait for a lock, milliseconds"
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s/?#]+$",
        description="where callers reach this service, as tokens name it; unset: where it listens",
    )
    require_tls: bool | None = Field(
        default=None,
        description="calls over plain http are refused, but probes; unset: where the public URL is"
        " https",
    )
    api_pages: bool = Field(
        default=True, description="/docs and /redoc show the API's document to whoever asks"
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        description="what Prometheus shows as bearer token at /metrics; unset: this machine alone"
        " is answered",
    )
    metrics_token_file: Path | None = Field(
        default=None, description="a file that holds that token instead"
    )
    rate_limits: dict[RateName, Annotated[int, Field(ge=1)]] = Field(
        default={
            "sign-in": 60,
            "expensive": 240,
            "write": 600,
            "tiles": 3000,
            "public-read": 600,
            "read": 2400,
        },
        description="JSON: calls a minute of each caller, by class; a class left out has no limit",
    )
    rate_limit_processes: int = Field(
        default=1, ge=1, description="processes behind one address: each lets its share through"
    )
    kept_features_mb: int = Field(
        default=96,
        ge=0,
        description="memory of a process for features that are kept as they were written, MiB;"
        " 0: none are kept",
    )
    local_crs: str = Field(
        default="",
        description="PROJ or WKT text of a coordinate reference system to offer under /ogc, such as"
        " a city's own grid; its x comes first",
    )
    local_crs_name: str = Field(default="", description="what that system is called")
    trusted_proxies: list[Annotated[str, Field(pattern=r"^[0-9a-fA-F.:/]+$")]] = Field(
        default=[],
        description="JSON: addresses or networks of proxies whose X-Forwarded-For is believed",
    )
    hsts_seconds: int = Field(
        default=31_536_000,
        ge=0,
        description="how long browsers insist on TLS, told in answers over https; 0: not told",
    )
    max_body_bytes: int = Field(default=1_000_000, ge=1_000, description="largest request body")
    session_idle_minutes: int = Field(
        default=120, ge=30, le=480, description="a session unused for so long ends, minutes"
    )
    session_hours_max: int = Field(
        default=12, ge=1, le=24, description="longest a session lasts, however busy, hours"
    )
    second_factor_from: Literal["viewer", "agent", "manager", "admin", "nobody"] = Field(
        default="manager", description="from which role on signing in takes a second factor"
    )
    second_factor_digest: Literal["sha256", "sha1"] = Field(
        default="sha256",
        description="with which hash new second factors make their codes; some apps know sha1 only",
    )
    staff_invitation_hours: int = Field(
        default=72, ge=1, le=24 * 14, description="how long an invitation of staff is good, hours"
    )
    oidc_issuer: str | None = Field(
        default=None, description="identity provider at which staff sign in; unset: none"
    )
    oidc_client_id: str = Field(default="", description="what the provider knows us by")
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="our secret at the provider; unset: we are a public client"
    )
    oidc_client_secret_file: Path | None = Field(
        default=None, description="a file that holds that secret instead"
    )
    oidc_redirect_url: str = Field(
        default="", description="our address /api/v1/session/oidc/callback as browsers see it"
    )
    oidc_scope: str = Field(default="openid email profile", description="what we ask for")
    oidc_groups_claim: str = Field(
        default="groups", description="claim of the id_token that lists a person's groups"
    )
    oidc_staff_number_claim: str = Field(
        default="", description="claim of the id_token that is a person's staff number; empty: none"
    )
    oidc_roles: dict[str, dict[str, str | list[str]]] = Field(
        default={}, description='JSON: group → {"role": …, "parks": [codes]}; no parks means all'
    )
    oidc_algorithms: list[str] = Field(
        default=["RS256", "PS256", "ES256"], description="JSON: signatures of id_tokens we take"
    )
    oidc_rsa_bits_min: int = Field(
        default=3072,
        ge=2048,
        description="RSA keys of the provider that are shorter are not believed, bits",
    )
    oidc_second_factor_amr: list[str] = Field(
        default=["mfa", "otp", "hwk", "fpt", "face"],
        description="JSON: values of `amr` that mean a second factor was shown at the provider",
    )
    hold_hours_default: int = Field(default=72, ge=1, description="how long a hold lasts, hours")
    hold_hours_max: int = Field(default=24 * 30, ge=1, description="longest hold, hours")
    held_units_per_company_max: int = Field(
        default=20, ge=1, description="units one company may hold at a time, against hoarding"
    )
    hold_total_hours_firm_max: int = Field(
        default=24 * 7, ge=1, description="longest a firm may keep a hold by extending it, hours"
    )
    hold_total_hours_agent_max: int = Field(
        default=24 * 14, ge=1, description="the same for agents, hours"
    )
    hold_total_hours_manager_max: int = Field(
        default=24 * 30, ge=1, description="the same for managers, hours"
    )
    queue_offer_hours: int = Field(
        default=48, ge=1, description="how long the next in line is offered free space, hours"
    )
    queue_entries_per_company_max: int = Field(
        default=20, ge=1, description="lines one company may wait in at a time"
    )
    webhook_allow_loopback: bool = Field(
        default=False,
        description="webhooks may be sent to http://127.0.0.1:PORT too: to try them out on one"
        " machine, never where firms are let in",
    )
    webhook_hosts: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")]] = Field(
        default=[],
        description="JSON: names of hosts that webhooks may be sent to, with all below them; any"
        " host of the internet where none is named",
    )
    two_person_rule: bool = Field(
        default=True,
        description="ending a lease and re-measuring a unit take a second manager's approval",
    )
    approval_hours: int = Field(
        default=72, ge=1, le=24 * 30, description="how long such an approval may wait, hours"
    )
    second_person_days: int = Field(
        default=30,
        ge=1,
        le=365,
        description="how long who invited or reset an account may not be the second person beside"
        " it, days",
    )
    second_person_numbers: bool = Field(
        default=False,
        description="both of a two-person decision must have a staff number (工号)",
    )
    audit_heads_file: Path | None = Field(
        default=None,
        description="file, best on another machine, to which the worker adds the audit chains'"
        " heads hourly; unset: log lines only",
    )
    contact_retention_months: int = Field(
        default=24,
        ge=1,
        le=120,
        description="contacts are erased so long after their firm's last request or lease, months",
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_json: bool = Field(default=False, description="logs as JSON lines instead of coloured text")

    @model_validator(mode="after")
    def _read_secret_files(self) -> Self:
        for name in IN_FILES:
            path: Path | None = getattr(self, f"{name}_file")
            if path is not None and getattr(self, name) is None:
                setattr(self, name, SecretStr(read_secret_file(path)))
        return self


#: Secrets that a file may hold instead of the environment; the keys' file has a form of its own.
IN_FILES = ("database_url", "public_database_url", "oidc_client_secret", "metrics_token")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"SPACE_RELAY_{name.upper()}"


def read_secret_file(path: Path) -> str:
    """The one line of a file that others may not read.

    Raises:
        SettingError: it cannot be read, others may read it, or it holds no line or several.
    """
    try:
        mode, lines = path.stat().st_mode, path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"The secret file {path} cannot be read.", f"ls -l {path}") from error
    if mode & TOO_OPEN:
        raise SettingError(f"Others may read the secret file {path}.", f"chmod 600 {path}")
    written = [line.strip() for line in lines if line.strip()]
    if len(written) != 1:
        raise SettingError(
            f"The secret file {path} does not hold one line.", f"put the secret alone into {path}"
        )
    return written[0]


@cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        SettingError: one cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingError(" ".join(_said(error)), "docs/reference/settings.md") from None
    except SettingsError as error:  # its cause repeats the value
        said = re.search(r"field \"(\w+)\"", str(error))
        name = variable(said[1]) if said else "A setting"
        raise SettingError(f"{name}: it is no JSON.", "docs/reference/settings.md") from None


def _said(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        names = ", ".join(variable(str(part)) for part in fault["loc"][:1]) or "The settings"
        yield f"{names}: {fault['msg']}."
