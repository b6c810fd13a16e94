"""A good call of every operation: what is allowed is answered with 2xx, not with a refusal."""

from collections.abc import Callable
from typing import Any

import pyotp
from shapely.geometry import box, mapping

from tests import factories as make
from tests.authz.world import APPLICATION, CONTACT, NEEDS, STAFF, TERMS, WHY, Call, World
from tests.security.staff.conftest import PASSWORD

Made = Callable[[World, str], Call]

_LATER = {"from": "2036-01-01", "until": "2039-01-01"}
_SOON = {"from": "2031-01-01", "until": "2034-01-01"}


def _plain(path: str, body: Any = None, **params: str) -> Made:
    """A call whose path names things of the world: ``{hold}``."""

    def made(world: World, _caller: str) -> Call:
        said = {name: value.format_map(world.ids) for name, value in params.items()}
        return Call(path.format_map(world.ids), json=body, params=said)

    return made


def _v1(path: str, body: Any = None, **params: str) -> Made:
    return _plain(f"/api/v1{path}", body, **params)


def _with(path: str, body: Callable[[World], Any]) -> Made:
    """A call whose body names things of the world."""
    return lambda world, _caller: Call(f"/api/v1{path}".format_map(world.ids), json=body(world))


def _order(unit: str, **more: Any) -> Callable[[World], Any]:
    """On behalf of firm A, whoever calls."""
    return lambda world: {
        "units": [{"unit_id": world.ids[f"unit_{unit}"]}],
        "company_id": world.ids["company"],
        **_SOON,
        **more,
    }


def _of_a(**more: Any) -> Callable[[World], Any]:
    return lambda world: {"company_id": world.ids["company"], **more}


def _application_status(world: World, _caller: str) -> Call:
    return Call(
        f"/api/v1/applications/{world.ids['application']}",
        headers={"Application-Secret": world.secrets["status"]},
    )


def _confirm_second_factor(world: World, caller: str) -> Call:
    begun = world.call("POST", CALLS["start_second_factor"](world, caller), caller)
    nobodys = pyotp.TOTP(pyotp.random_base32()).provisioning_uri()
    totp = pyotp.parse_uri(begun.json().get("provisioning_uri", nobodys))
    assert isinstance(totp, pyotp.TOTP)
    return Call("/api/v1/session/second-factor/confirm", json={"code": totp.now()})


def _ogc(path: str) -> Made:
    return _plain(f"/ogc{path}")


def _replace_ogc_item(world: World, _caller: str) -> Call:
    path = f"/ogc/collections/parcels/items/{world.ids['fid_parcel']}"
    read = world.client.get(path).json()
    return Call(path, json={name: read[name] for name in ("type", "geometry", "properties")})


CALLS: dict[str, Made] = {
    "healthz": _plain("/healthz"),
    "readyz": _plain("/readyz"),
    "show_zones": _v1("/zones"),
    "show_zone": _v1("/zones/{zone}"),
    "show_parks": _v1("/parks"),
    "show_park": _v1("/parks/{park}"),
    "show_parcels": _v1("/parcels"),
    "show_parcel": _v1("/parcels/{parcel}"),
    "show_programmes": _v1("/programmes"),
    "show_programme": _v1("/programmes/{programme}"),
    "show_buildings": _v1("/buildings"),
    "show_building": _v1("/buildings/{building}"),
    "show_floors": _v1("/floors"),
    "show_floor": _v1("/floors/{floor}"),
    "show_units": _v1("/units"),
    "show_unit": _v1("/units/{unit_let}"),
    "show_facilities": _v1("/shared-facilities"),
    "show_facility": _v1("/shared-facilities/{facility}"),
    "show_vocabulary": _v1("/vocabulary"),
    "show_ogc": _ogc(""),
    "show_ogc_conformance": _ogc("/conformance"),
    "show_ogc_api": _ogc("/api"),
    "show_ogc_local_crs": _ogc("/crs/local"),
    "show_ogc_collections": _ogc("/collections"),
    "show_ogc_collection": _ogc("/collections/units"),
    "show_ogc_schema": _ogc("/collections/units/schema"),
    "show_ogc_feature_schema": _ogc("/collections/units/feature-schema"),
    "show_ogc_queryables": _ogc("/collections/units/queryables"),
    "show_ogc_sortables": _ogc("/collections/units/sortables"),
    "show_ogc_items": _ogc("/collections/free_space/items"),
    "show_ogc_item": _ogc("/collections/units/items/{fid_free}"),
    "create_ogc_item": lambda world, _caller: Call(
        "/ogc/collections/parcels/items",
        json={
            "type": "Feature",
            "geometry": mapping(box(121.6092, 31.2092, 121.6098, 31.2098)),
            "properties": {
                "code": "DRAWN-1",
                "name_zh": "新地块",
                "name_en": "New plot",
                "land_use_code": "M1",
                "tenure": "grant",
                "park_code": world.ids["code_park"],
            },
        },
    ),
    "replace_ogc_item": _replace_ogc_item,
    "change_ogc_item": _plain(
        "/ogc/collections/parcels/items/{fid_parcel}", {"properties": {"name_zh": "改名地块"}}
    ),
    "delete_ogc_item": _ogc("/collections/parcels/items/{fid_parcel}"),
    "show_former_features": _v1("/former-features"),
    "restore_former_feature": _v1("/former-features/{former}/restore"),
    "download_ogc_collection": _ogc("/collections/zones/download"),
    "show_ogc_qgis_project": _ogc("/qgis/project.qgs"),
    "show_ogc_tilesets": _ogc("/tiles"),
    "show_ogc_tileset": _ogc("/tiles/WebMercatorQuad"),
    "show_ogc_tilejson": _ogc("/tiles/WebMercatorQuad/tilejson"),
    "show_ogc_tile": _ogc("/tiles/WebMercatorQuad/10/418/857"),
    "show_ogc_collection_tilesets": _ogc("/collections/units/tiles"),
    "show_ogc_collection_tileset": _ogc("/collections/units/tiles/WebMercatorQuad"),
    "show_ogc_collection_tilejson": _ogc("/collections/units/tiles/WebMercatorQuad/tilejson"),
    "show_ogc_collection_tile": _ogc("/collections/units/tiles/WebMercatorQuad/10/418/857"),
    "show_ogc_xyz_tile": _ogc("/xyz/zones/10/857/418.mvt"),
    "show_ogc_tile_matrix_sets": _ogc("/tileMatrixSets"),
    "show_ogc_tile_matrix_set": _ogc("/tileMatrixSets/WebMercatorQuad"),
    "show_ogc_styles": _ogc("/styles"),
    "show_ogc_style": _ogc("/styles/space-relay"),
    "show_history": _v1("/units/{unit_let}/history"),
    "show_versions": _v1("/units/{unit_let}/versions"),
    "merge": _with(
        "/units/merge",
        lambda world: {
            "code": "MERGED-1",
            "effective_on": "2027-01-01",
            "units": [world.ids["code_near"], world.ids["code_far"]],
        },
    ),
    "change_unit_terms": _v1(
        "/units/{unit_free}/terms",
        {"changes": {"rent_cny_per_m2_day": "3.5"}, "effective_on": "2027-07-01"},
    ),
    "remeasure_unit": _v1(
        "/units/{unit_free}/remeasure",
        {
            "effective_on": "2027-01-01",
            "leasable_area_m2": "1990.00",
            "internal_area_m2": "1630.00",
            "method": "实测",
        },
    ),
    "split": _v1(
        "/units/{unit_free}/split",
        {
            "effective_on": "2027-07-01",
            "children": [{"code": "SPLIT-1"}, {"code": "SPLIT-2"}],
            "shares": [0.6, 0.4],
        },
    ),
    "list_free_space": _v1("/free-space"),
    "search_free_space": _v1("/free-space/search", {"from": "2027-01-01"}),
    "create_company": _v1(
        "/companies",
        {
            "name_zh": "新企业（合成）",
            "name_en": "New firm (synthetic)",
            "unified_social_credit_code": make.credit_code(9_300_001),
        },
    ),
    "list_companies": _v1("/companies"),
    "get_company": _v1("/companies/{company}"),
    "create_asset": _v1(
        "/companies/{company}/pipeline-assets",
        {
            "modality": "car_t",
            "name": "CT-102",
            "stages": [{"stage": "ind", "entered_on": "2026-03-01"}],
        },
    ),
    "list_assets": _v1("/companies/{company}/pipeline-assets"),
    "get_asset": _v1("/companies/{company}/pipeline-assets/{asset}"),
    "add_stage": _v1(
        "/companies/{company}/pipeline-assets/{asset}/stages",
        {"stage": "phase_1", "entered_on": "2028-01-01", "expected": True},
    ),
    "create_contact": _v1(
        "/companies/{company}/contacts",
        CONTACT | {"phone": "+86 138 0000 0002", "email": "contact02@example.invalid"},
    ),
    "list_contacts": _v1("/companies/{company}/contacts"),
    "search_contacts": _v1("/contacts/search", {"email": CONTACT["email"]} | WHY),
    "get_contact": _v1("/contacts/{contact}"),
    "correct_contact": _v1("/contacts/{contact}", {"role": "facilities"}),
    "reveal_contact": _v1("/contacts/{contact}/reveal", WHY),
    "erase_contact": _v1("/contacts/{contact}/erase", WHY),
    "export_personal_data": _v1("/companies/{company}/personal-data/export", WHY),
    "create_request": _with("/space-requests", _of_a(**NEEDS)),
    "list_requests": _v1("/space-requests"),
    "get_request": _v1("/space-requests/{request}"),
    "replace_needs": _v1("/space-requests/{request}/needs", NEEDS),
    "withdraw_request": _v1("/space-requests/{request}/withdraw"),
    "reopen_request": _v1("/space-requests/{withdrawn}/reopen"),
    "match": _v1("/space-requests/{request}/matches", {}),
    "list_match_events": _v1("/space-requests/{request}/match-events"),
    "list_matching_requests": _v1("/units/{unit_free}/matching-requests"),
    "show_match_receipt": _v1("/match-receipts/{receipt}"),
    "replay_match_receipt": _v1("/match-receipts/{receipt}/replay"),
    "list_constraints": _v1("/match-constraints"),
    "list_criteria": _v1("/match-criteria"),
    "show_house_policy": _v1("/match-policy"),
    "set_house_policy": _v1("/match-policy", {"weights": {"rent": 15, "wishes": 35}}),
    "show_park_policy": _v1("/parks/{park}/match-policy"),
    "set_park_policy": _v1("/parks/{park}/match-policy", {"weights": {"rent": 15, "wishes": 35}}),
    "create_hold": _with("/holds", _order("free")),
    "list_holds": _v1("/holds"),
    "read_hold": _v1("/holds/{hold}"),
    "confirm_hold": _v1("/holds/{hold}/confirm", {"terms": TERMS}),
    "extend_hold": _v1("/holds/{hold}/extend", {"hours": 24}),
    "release_hold": _v1("/holds/{hold}/release"),
    "join_queue": _with(
        "/queue-entries", _order("works", **{"from": "2028-01-01", "until": "2030-01-01"})
    ),
    "list_queue": _v1("/queue-entries"),
    "read_queue_entry": _v1("/queue-entries/{entry}"),
    "leave_queue": _v1("/queue-entries/{entry}/leave"),
    "create_lease": _with("/leases", _order("free", terms=TERMS)),
    "list_leases": _v1("/leases"),
    "read_lease": _v1("/leases/{lease}"),
    "terminate_lease": _v1(
        "/leases/{lease_back}/terminate", {"on": "2026-01-10", "reason": "协商一致"}
    ),
    "extend_lease": _v1("/leases/{lease}/extend", {"until": "2037-01-01"}),
    "hand_lease_over": _v1("/leases/{lease}/hand-over", {"on": "2026-01-05"}),
    "hand_lease_back": _v1("/leases/{lease_ended}/hand-back", {"on": "2026-02-01"}),
    "record_cleared": _v1("/leases/{lease_back}/cleared", {"on": "2026-02-15"}),
    "read_lease_terms": _v1("/leases/{lease}/terms"),
    "record_lease_terms": _v1("/leases/{lease}/terms", {"terms": TERMS}),
    "read_lease_schedule": _v1("/leases/{lease}/schedule"),
    "create_works": _with(
        "/works",
        lambda world: {"units": [{"unit_id": world.ids["unit_free"]}], "kind": "works", **_SOON},
    ),
    "read_works": _v1("/works/{works}"),
    "end_works": _v1("/works/{works}/end", {"on": "2031-02-01"}),
    "show_approvals": _v1("/approvals"),
    "show_approval": _v1("/approvals/{approval}"),
    "approve_approval": _v1("/approvals/{approval}/approve"),
    "refuse_approval": _v1("/approvals/{approval}/refuse", {"reason": "面积不符"}),
    "show_entries": _v1("/audit-entries"),
    "list_claims": _v1("/claims"),
    "show_kpis": _v1("/kpis"),
    "show_kpi_definitions": _v1("/kpis/definitions"),
    "list_rights": _v1("/rights"),
    "grant_right": _with(
        "/rights",
        lambda world: {
            "kind": "renewal",
            "notice_days": 10,
            "units": [world.ids["unit_left"]],
            "company_id": world.ids["company"],
            **_LATER,
        },
    ),
    "check_offer": _with(
        "/rights/check",
        lambda world: {
            "units": [world.ids["unit_left"]],
            "company_id": world.ids["company"],
            **_LATER,
        },
    ),
    "read_right": _v1("/rights/{right}"),
    "end_right": _v1("/rights/{right}/end"),
    "ask_holder": _v1("/rights/{right}/notices", _LATER),
    "answer_notice": _v1("/rights/{right}/notices/{notice}/answer", {"answer": "waived"}),
    "record_waiver": _v1("/rights/{right}/waivers", _LATER),
    "read_session": _v1("/session"),
    "create_session": lambda world, _caller: Call(
        "/api/v1/session",
        json={
            "email": world.secrets["email"],
            "password": PASSWORD,
            "code": world.secrets["recovery_code"],
        },
    ),
    "delete_session": _v1("/session"),
    "change_password": _v1(
        "/session/password", {"current_password": PASSWORD, "password": "nine otters in the reeds"}
    ),
    "start_second_factor": lambda world, _caller: Call(
        "/api/v1/session/second-factor",
        json={"password": PASSWORD, "code": world.secrets["recovery_code"]},
    ),
    "confirm_second_factor": _confirm_second_factor,
    "renew_recovery_codes": lambda world, _caller: Call(
        "/api/v1/session/recovery-codes", json={"code": world.secrets["recovery_code"]}
    ),
    "start_at_provider": _v1("/session/oidc/start"),
    "return_from_provider": _v1("/session/oidc/callback"),
    "list_staff": _v1("/staff"),
    "invite_staff": _v1("/staff", STAFF | {"email": "another@example.invalid"}),
    "accept_staff_invitation": lambda world, _caller: Call(
        "/api/v1/staff/accept-invitation",
        json={"token": world.secrets["staff_invitation"], "password": PASSWORD},
    ),
    "list_staff_sessions": _v1("/staff/sessions"),
    "end_staff_sessions": _v1("/staff/sessions", account="{account}"),
    "end_staff_session": _v1("/staff/sessions/{session}"),
    "read_staff": _v1("/staff/{account}"),
    "change_staff": _v1("/staff/{account}", {"role": "viewer"}),
    "invite_staff_again": _v1("/staff/{account}/invitation"),
    "reset_second_factor": _v1("/staff/{account}/reset-second-factor"),
    "create_webhook_endpoint": _v1(
        "/webhook-endpoints",
        {"url": "https://hooks.example.com/other", "events": ["hold.placed"]},
    ),
    "list_webhook_endpoints": _v1("/webhook-endpoints"),
    "get_webhook_endpoint": _v1("/webhook-endpoints/{endpoint}"),
    "change_webhook_endpoint": _v1("/webhook-endpoints/{endpoint}", {"label": "other"}),
    "delete_webhook_endpoint": _v1("/webhook-endpoints/{endpoint}"),
    "rotate_webhook_secret": _v1("/webhook-endpoints/{endpoint}/rotate-secret"),
    "try_webhook_endpoint": _v1("/webhook-endpoints/{endpoint}/test"),
    "list_webhook_deliveries": _v1("/webhook-endpoints/{endpoint}/deliveries"),
    "replay_webhook_events": _v1(
        "/webhook-endpoints/{endpoint}/replay", {"since": "2026-11-01T00:00:00Z"}
    ),
    "list_webhook_events": _v1("/webhook-events"),
    "apply": _v1(
        "/applications",
        APPLICATION | {"unified_social_credit_code": make.credit_code(9_300_002)},
    ),
    "list_applications": _v1("/applications"),
    "get_application": _application_status,
    "approve_application": _v1("/applications/{application}/approve"),
    "refuse_application": _v1("/applications/{application}/refuse", {"reason": "信息不符"}),
    "reveal_applicant": _v1("/applications/{application}/reveal-contact", {"reason": "发送邀请"}),
    "invite_company": _with("/invitations", _of_a()),
    "list_invitations": _v1("/invitations"),
    "revoke_invitation": _v1("/invitations/{invitation}/revoke"),
    "accept_invitation": lambda world, _caller: Call(
        "/api/v1/invitations/accept", json={"token": world.secrets["invitation"]}
    ),
    "issue_key": _with("/keys", _of_a(label="third", scopes=["requests:read"])),
    "list_keys": _v1("/keys"),
    "list_scopes": _v1("/keys/scopes"),
    "get_key": _v1("/keys/{key}"),
    "rotate_key": _v1("/keys/{key}/rotate"),
    "revoke_key": _v1("/keys/{key}/revoke"),
    "grant_access_token": lambda world, _caller: Call(
        "/oauth/token",
        data={
            "grant_type": "client_credentials",
            "client_id": world.secrets["client_id"],
            "client_secret": world.secrets["client_secret"],
        },
        alone=True,
    ),
    "show_oauth_metadata": _plain("/.well-known/oauth-authorization-server"),
    "show_signing_keys": _plain("/.well-known/jwks.json"),
    "show_sandbox": _v1("/sandbox"),
    "issue_sandbox_key": _with("/sandbox/keys", _of_a(label="ci")),
    "reset_sandbox": _v1("/sandbox/reset"),
}
