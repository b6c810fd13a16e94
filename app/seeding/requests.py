"""Files the demonstration's requests as the API would, with derived needs. Pure."""

from collections.abc import Iterator, Sequence

from app.demand.derive import Ask, derive_needs
from app.demand.needs import PlaceNames
from app.demand.request_schemas import SpaceRequestIn
from app.kernel.ids import reference_id
from app.seeding.files import Reference
from app.seeding.firms import Firm
from app.seeding.records import Json, SpaceRequest
from app.seeding.reference import RequestRow
from app.seeding.space import AS_OF


def request_id(row: RequestRow) -> str:
    """The id under which a request of the files is loaded."""
    return str(reference_id("space_requests", row.code))


def space_requests(reference: Reference, firms: Sequence[Firm]) -> Iterator[SpaceRequest]:
    """The requests of all firms that ask, as of the day the demonstration is set on.

    Raises:
        InvalidInputError: a form contradicts itself or names a need that there is not.
    """
    names: PlaceNames = {
        "zones": {row.code: (row.name_zh, row.name_en) for row in reference.zones},
        "parks": {row.code: (row.name_zh, row.name_en) for row in reference.parks.values()},
    }
    for firm in firms:
        if firm.asks is not None:
            yield _filed(reference, firm, firm.asks, names)


def _filed(
    reference: Reference, firm: Firm, request: RequestRow, names: PlaceNames
) -> SpaceRequest:
    about = {"company_id": firm.company.id, "pipeline_asset_id": firm.assets[0].id}
    # Left out, the stage is the next one with a date.
    stage = {"stage": request.stage} if request.stage_on is None else {}
    body = SpaceRequestIn.model_validate({**about, **stage, **request.form})
    needs = derive_needs(
        Ask(
            stated=body.stated(),
            today=AS_OF,
            modality=request.modality,
            stage=request.stage,
            stage_on=next(one.entered_on for one in firm.entries if one.stage == request.stage),
            programmes=body.programmes,
            soft=frozenset(body.soft),
            hard=frozenset(body.hard),
        ),
        reference.rules,
    )
    return SpaceRequest(
        id=reference_id("space_requests", request.code),
        company_id=firm.company.id,
        pipeline_asset_id=firm.assets[0].id,
        unit_type=next(need.value for need in needs if need.key == "unit_type"),
        stated=Json(body.model_dump(mode="json", by_alias=True, exclude_unset=True)),
        needs=Json([need.as_json(names) for need in needs]),
        rules_version=reference.rules.version,
    )
