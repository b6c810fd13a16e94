"""Credentials for a first look: random, made once, kept in one file that only its owner reads."""

import json
import os
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.database.session import transaction
from app.kernel.clock import Clock
from app.kernel.errors import SpaceRelayError
from app.kernel.terms import Modality
from app.models.access import Credential
from app.models.company import Company, PipelineAsset
from app.security.actors import Role
from app.security.credentials import authenticate, issue_firm_key, issue_staff_token
from app.security.staff.accounts import find_account
from app.security.staff.demo import (
    DemoAccount,
    known_demo_account,
    make_demo_account,
    second_demo_account,
)
from app.security.staff.sign_in import Gate

FILE_NAME = "demo.json"
#: Credentials that were forgotten end by themselves.
VALID_FOR = timedelta(days=90)
_STAFF, _FIRM = "demonstration staff", "demonstration firm"


@dataclass(frozen=True, slots=True)
class Demo:
    """What the file holds. ``fresh`` tells whether the credentials were made just now."""

    path: Path
    base_url: str
    staff_token: str
    firm_key: str
    company_id: UUID
    company_name_zh: str
    account: DemoAccount
    fresh: bool


def ensure_demo(session: Session, home: Path, base_url: str, clock: Clock, gate: Gate) -> Demo:
    """The demonstration's credentials, made anew only when the ones on file do not work.

    The firm is the first synthetic one with a CAR-T programme. The file is replaced as a whole
    and never readable by others.

    Raises:
        LookupError: no reference data is loaded, so there is no firm to give a key to.
    """
    path = home / FILE_NAME
    account = _account_on_file(session, path, gate)
    fresh = account is None
    if account is None:
        with transaction(session):
            account = make_demo_account(session, gate, clock.now())
    kept = _still_valid(session, path, clock)
    if kept is None:
        fresh = True
        expires_at = clock.now() + VALID_FOR
        with transaction(session):
            # What is no longer on file can be nobody's to use.
            session.execute(
                update(Credential)
                .where(Credential.label.in_((_STAFF, _FIRM)), Credential.revoked_at.is_(None))
                .values(revoked_at=clock.now())
            )
            company = session.execute(
                select(Company.id, Company.name_zh)
                .join(PipelineAsset, PipelineAsset.company_id == Company.id)
                .where(Company.synthetic, PipelineAsset.modality == Modality.CAR_T.value)
                .order_by(Company.unified_social_credit_code)
                .limit(1)
            ).one_or_none()
            if company is None:
                raise LookupError("load the reference data first: space-relay seed")
            kept = {
                "staff": {
                    "token": issue_staff_token(
                        session,
                        role=Role.ADMIN,
                        label=_STAFF,
                        expires_at=expires_at,
                        account=find_account(session, account.email),
                    ),
                    # Some decisions take two people (docs/explain/audit.md).
                    "second_token": issue_staff_token(
                        session,
                        role=Role.MANAGER,
                        label=_STAFF,
                        expires_at=expires_at,
                        account=second_demo_account(session, gate, clock.now()),
                    ),
                },
                "firm": {
                    "api_key": issue_firm_key(
                        session, company_id=company.id, label=_FIRM, expires_at=expires_at
                    ),
                    "company_id": str(company.id),
                    "company_name_zh": company.name_zh,
                },
            }
    _write_private(path, {"base_url": base_url, **kept, "account": asdict(account)})
    return Demo(
        path=path,
        base_url=base_url,
        staff_token=kept["staff"]["token"],
        firm_key=kept["firm"]["api_key"],
        company_id=UUID(kept["firm"]["company_id"]),
        company_name_zh=kept["firm"]["company_name_zh"],
        account=account,
        fresh=fresh,
    )


def _still_valid(session: Session, path: Path, clock: Clock) -> dict[str, dict[str, str]] | None:
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        kept = {"staff": dict(written["staff"]), "firm": dict(written["firm"])}
        secrets = (
            kept["staff"]["token"],
            kept["staff"]["second_token"],
            kept["firm"]["api_key"],
        )
        actors = [authenticate(session, secret, clock.now()) for secret in secrets]
        for actor in actors[:2]:
            actor.require_person()
        UUID(kept["firm"]["company_id"])
        kept["firm"]["company_name_zh"]
    except (OSError, ValueError, KeyError, TypeError, SpaceRelayError):
        return None
    return kept


def _account_on_file(session: Session, path: Path, gate: Gate) -> DemoAccount | None:
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        return known_demo_account(session, gate, dict(written["account"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_private(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
        file.write("\n")
    draft.replace(path)
