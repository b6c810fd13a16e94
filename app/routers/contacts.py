"""Contacts of firms over HTTP: with stars, and in full for a reason."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.contacts import looking, people
from app.contacts.kept import ContactErasedError
from app.contacts.people import ContactExistsError, ContactsFullError
from app.contacts.schemas import (
    ContactChangeIn,
    ContactIn,
    ContactInFull,
    ContactPage,
    ContactSearchIn,
    ContactsFound,
    ContactStarred,
    PersonalDataOut,
    ReasonIn,
)
from app.database.session import transaction
from app.kernel.errors import InvalidInputError, NotFoundError
from app.routers.dependencies import (
    JSON,
    ActorDep,
    ClockDep,
    IdPath,
    Paging,
    Query,
    SessionDep,
    WriterDep,
)
from app.routers.problems import problems
from app.routers.shown_once import NOT_STORED
from app.routers.versions import shown_alone
from app.security.actors import NotAllowedError, NotSignedInError
from app.security.sealing import Sealer

router = APIRouter(prefix="/api/v1", tags=["contacts"])

_ANY = (NotSignedInError, NotAllowedError, NotFoundError)


def get_sealer(request: Request) -> Sealer:
    """What opens the values."""
    sealer: Sealer = request.app.state.sealer
    return sealer


SealerDep = Annotated[Sealer, Depends(get_sealer)]


@router.post(
    "/companies/{company_id}/contacts",
    status_code=201,
    response_model=ContactStarred,
    responses=problems(*_ANY, InvalidInputError, ContactExistsError, ContactsFullError),
)
def create_contact(
    company_id: IdPath,
    body: ContactIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    sealer: SealerDep,
    write: WriterDep,
) -> Response:
    """Add somebody to talk to (登记联系人), who agreed to it. The answer has stars already.

    The firm itself (scope `contacts:write`), or agents. Values are kept encrypted, and erased
    24 months after the firm's last request or lease unless the installation says otherwise.
    """
    return write(
        lambda: people.create(session, sealer, actor, company_id, body=body, now=clock.now()),
        location=lambda made: f"/api/v1/contacts/{made.id}",
    )


@router.get(
    "/companies/{company_id}/contacts", response_model=ContactPage, responses=problems(*_ANY)
)
def list_contacts(
    company_id: IdPath,
    paging: Annotated[Paging, Query()],
    *,
    session: SessionDep,
    actor: ActorDep,
    sealer: SealerDep,
) -> Response:
    """List a firm's contacts (联系人清单) with stars, the first added first."""
    page = people.list_contacts(session, sealer, actor, company_id, paging.page(geojson=False))
    return Response(page.as_items(), media_type=JSON)


@router.post(
    "/contacts/search", responses=problems(NotSignedInError, NotAllowedError, InvalidInputError)
)
def search_contacts(
    body: ContactSearchIn,
    response: Response,
    *,
    session: SessionDep,
    actor: ActorDep,
    sealer: SealerDep,
) -> ContactsFound:
    """Whose number or address it is (按号码或邮箱查找), in any firm; the answer has stars.

    For a person who asks what is kept, or wants it erased. Managers; the search is written down.
    """
    response.headers.update(NOT_STORED)
    with transaction(session):
        return looking.search(session, sealer, actor, body)


@router.get("/contacts/{contact_id}", responses=problems(*_ANY))
@shown_alone
def get_contact(
    contact_id: IdPath, *, session: SessionDep, actor: ActorDep, sealer: SealerDep
) -> ContactStarred:
    """One contact (联系人) with stars; its version is the ETag."""
    return people.get(session, sealer, actor, contact_id)


@router.patch(
    "/contacts/{contact_id}",
    response_model=ContactStarred,
    responses=problems(*_ANY, InvalidInputError, ContactErasedError, ContactExistsError),
)
def correct_contact(
    contact_id: IdPath,
    body: ContactChangeIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    sealer: SealerDep,
    write: WriterDep,
) -> Response:
    """Put right what is wrong (更正); what is left out stays, and null takes a way to reach away.

    Send the ETag read as `If-Match`, and a change made by someone else in between is kept.
    """
    return write(
        lambda: people.correct(session, sealer, actor, contact_id, body=body, now=clock.now()),
        status=200,
    )


@router.post("/contacts/{contact_id}/reveal", responses=problems(*_ANY, ContactErasedError))
def reveal_contact(
    contact_id: IdPath,
    body: ReasonIn,
    response: Response,
    *,
    session: SessionDep,
    actor: ActorDep,
    sealer: SealerDep,
) -> ContactInFull:
    """One contact in full (查看联系方式): all that is kept about the person.

    The firm itself (scope `contacts:write`), or agents. Who looked, when and why is written into
    the audit trail before the answer is sent; the firm sees there that somebody looked.
    """
    # Not by the writer: an answer that is kept would keep the values in the clear.
    response.headers.update(NOT_STORED)
    with transaction(session):
        return looking.reveal(session, sealer, actor, contact_id, body.reason)


@router.post(
    "/contacts/{contact_id}/erase",
    status_code=200,
    response_model=ContactStarred,
    responses=problems(*_ANY, ContactErasedError),
)
def erase_contact(
    contact_id: IdPath,
    body: ReasonIn,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    sealer: SealerDep,
    write: WriterDep,
) -> Response:
    """Erase every value for good (删除个人信息).

    The firm itself (scope `contacts:write`), or managers. The row stays, with when and why, for
    what refers to it; nothing brings the values back.
    """
    return write(
        lambda: people.erase(
            session, sealer, actor, contact_id, reason=body.reason, now=clock.now()
        ),
        status=200,
    )


@router.post("/companies/{company_id}/personal-data/export", responses=problems(*_ANY))
def export_personal_data(
    company_id: IdPath,
    body: ReasonIn,
    response: Response,
    *,
    session: SessionDep,
    actor: ActorDep,
    clock: ClockDep,
    sealer: SealerDep,
) -> PersonalDataOut:
    """All that is kept about a firm's people, in full (个人信息副本), as JSON.

    The firm itself (scope `contacts:write`), or managers. Written down like a look.
    """
    response.headers.update(NOT_STORED)
    with transaction(session):
        return looking.export(
            session, sealer, actor, company_id, reason=body.reason, now=clock.now()
        )
