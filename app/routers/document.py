"""The OpenAPI document: what every route has in common is written into it once, here.

Routes say what they take and answer. That answers count calls, that a write may be repeated or
rehearsed, what a credential must be allowed to do: these hold for whole classes of routes, and are
added to what FastAPI makes of them.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from http import HTTPStatus
from threading import Lock
from typing import Any

from fastapi import FastAPI, Response

from app.kernel.errors import SpaceRelayError
from app.routers.dependencies import JSON, NOT_REHEARSED
from app.routers.entitled import SCOPES
from app.routers.problems import BodyTooLargeError, MalformedJsonError, problems
from app.routers.rates import QuotaExceededError, rate_of
from app.routers.versions import ChangedMeanwhileError, EtagNeededError, Shown
from app.security.actors import Scope

Document = dict[str, Any]
_METHODS = ("get", "post", "put", "patch", "delete")

TAGS: Mapping[str, tuple[str, str]] = {
    "health": ("运行状态", "whether the service is up and can be asked"),
    "inventory": ("空间台账", "zones, parks, parcels, buildings, floors, units; units over time"),
    "free space": ("可用空间", "what can be had, when, and how much of it"),
    "OGC API": ("地图与 GIS", "features, tiles and files for QGIS, GDAL, ArcGIS and web maps"),
    "demand": ("企业与需求", "companies, their pipelines, and what they ask for"),
    "matching": ("匹配", "what fits a request, what does not and why, and how it is weighed"),
    "ledger": ("租赁台账", "holds, lines, leases, rights, works; decisions of two people"),
    "contacts": ("联系人", "people to talk to, starred unless looked at for a reason"),
    "access": ("接入", "applications, invitations, keys, access tokens, the sandbox"),
    "webhooks": ("回调", "where firms are told of what happens, and what they were told"),
    "staff": ("员工", "staff accounts, sessions and second factors"),
    "security": ("安全", "the audit trail"),
}

#: What answers callers without a credential too, besides what asks for none at all.
ANYONE = frozenset(
    {"list_free_space", "search_free_space", "show_history", "show_versions"}
    | {"list_constraints", "list_criteria", "show_house_policy", "show_park_policy"}
    | {
        f"show_{kind}"
        for one in ("zone", "park", "parcel", "programme", "building", "floor", "unit")
        for kind in (one, f"{one}s")
    }
    | {"show_facilities", "show_facility"}
    | {
        f"show_ogc{what}"
        for what in ("", "_conformance", "_api", "_local_crs", "_collections", "_collection")
    }
    | {"download_ogc_collection", "show_ogc_qgis_project"}
    | {f"show_ogc_{what}" for what in ("schema", "queryables", "sortables", "items", "item")}
    | {"show_ogc_feature_schema"}
    | {
        f"show_ogc_{of}{what}"
        for of in ("", "collection_")
        for what in ("tilesets", "tileset", "tilejson", "tile")
    }
    | {
        f"show_ogc_{what}"
        for what in ("xyz_tile", "tile_matrix_sets", "tile_matrix_set", "styles", "style")
    }
)

_BEARER, _SESSION, _OAUTH = "bearer", "session", "oauth2"
_SCHEMES = {"HTTPBearer": _BEARER, "APIKeyCookie": _SESSION}
_HEADERS: Mapping[str, tuple[str, Document]] = {
    "RateLimit": (
        "calls left `r` of the class of calls, and seconds `t` until all are back",
        {"type": "string", "examples": ['"read";r=2399;t=60']},
    ),
    "RateLimit-Policy": (
        "calls `q` in a window of `w` seconds that the class has",
        {"type": "string", "examples": ['"read";q=2400;w=60']},
    ),
    "Retry-After": ("seconds after which to ask again", {"type": "integer"}),
    "ETag": ("of what is shown; `If-Match` takes it", {"type": "string"}),
    "Idempotency-Replayed": (
        "`true`: done before with this key; this is the answer of then",
        {"type": "string", "enum": ["true"]},
    ),
    "Dry-Run": ("`true`: nothing was done", {"type": "string", "enum": ["true"]}),
    "X-Space-Version": (
        "of a write: the `min_version` for a match that is to see it",
        {"type": "string"},
    ),
    "X-Request-Id": ("the call's id in our logs", {"type": "string"}),
}
_IF_MATCH = "the ETag that was read: nothing is done (412) where it is another by now; `*` is any"


def completed(made: Document, shown: Shown, token_url: str) -> Document:
    """FastAPI's document, with what the classes of routes have in common.

    Args:
        made: what FastAPI makes of the routes; not changed.
        shown: the ``GET`` of things that have an ETag.
        token_url: where access tokens are given.
    """
    document = _named_apart(made)
    document["tags"] = [
        {"name": name, "description": f"{zh}: {en}"} for name, (zh, en) in TAGS.items()
    ]
    parts = document["components"]
    parts["securitySchemes"] = {
        **{_SCHEMES[name]: scheme for name, scheme in parts["securitySchemes"].items()},
        _OAUTH: {
            "type": "oauth2",
            "description": "a firm's key is exchanged for a token that lives minutes",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": token_url,
                    "scopes": {scope.value: f"{scope.zh}: {scope.en}" for scope in Scope},
                }
            },
        },
    }
    parts["headers"] = {
        name: {"description": description, "schema": schema}
        for name, (description, schema) in _HEADERS.items()
    }
    models = {model.__name__ for model in shown.models}
    for method, path, operation in _operations(document):
        _secure(operation)
        _leave_out_null(operation)
        resource = shown.nearest(path)
        writes = any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", []))
        if resource is not None and (method != "get" and (writes or method in {"put", "patch"})):
            _condition(operation, required=method in {"put", "patch"})
        counted = rate_of(method.upper(), path, "", public=True) is not None
        if counted:
            _refusals(operation, QuotaExceededError)
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            _refusals(operation, MalformedJsonError, BodyTooLargeError)
        if writes:
            _rehearsals(operation)
        tagged = models if writes or path in shown.readers or method in {"put", "patch"} else set()
        for status, response in operation["responses"].items():
            names = _header_names(int(status), response, tagged, counted=counted, writes=writes)
            response.setdefault("headers", {}).update(
                {name: {"$ref": f"#/components/headers/{name}"} for name in names}
            )
    for event, item in document["webhooks"].items():
        item["post"]["operationId"] = f"told_{event.replace('.', '_')}"
    return document


def describe_by(
    make: Callable[[], Document], shown: Shown, token_url: str
) -> Callable[[], Document]:
    """What makes the document once, and hands it out from then on."""
    kept: Document = {}
    making = Lock()

    def document() -> Document:
        with making:  # whoever asks meanwhile waits for it and does not make it too
            if not kept:
                kept.update(completed(make(), shown, token_url))
        return kept

    return document


def serve_document(app: FastAPI) -> None:
    """Answer for the document in a thread and from memory: making it takes seconds under load.

    The framework's own route makes it where all calls wait for it to end.
    """
    address = app.openapi_url
    if address is None:
        raise ValueError("this application has no document")
    routes = app.router.routes
    routes[:] = [one for one in routes if getattr(one, "path", None) != address]

    @cache
    def text() -> bytes:
        return json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()

    def show_document() -> Response:
        return Response(text(), media_type=JSON)

    app.add_api_route(address, show_document, methods=["GET"], include_in_schema=False)


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield method, path, item[method]


def _named_apart(made: Document) -> Document:
    """Copied; models that are read in another form than they are written have a title each.

    FastAPI tells them apart by a suffix of the key alone, and generators of clients name classes
    by the title.
    """
    text = json.dumps(made)
    for key in made["components"]["schemas"]:
        name, _, form = key.rpartition("-")
        if form in {"Input", "Output"}:
            new = f"{name}In" if form == "Input" else f"{name}Out"
            text = text.replace(json.dumps(key), json.dumps(new))
            text = text.replace(f"#/components/schemas/{key}", f"#/components/schemas/{new}")
    document: Document = json.loads(text)
    for name, schema in document["components"]["schemas"].items():
        schema["title"] = name
    return document


def _secure(operation: Document) -> None:
    name = operation["operationId"]
    if not any(operation.get("security", [])):
        operation["security"] = []
        return
    scope = next((scope for scope, names in SCOPES.items() if name in names), None)
    needed = [] if scope is None else [scope.value]
    operation["security"] = [{_BEARER: []}, {_OAUTH: needed}, {_SESSION: []}]
    if name in ANYONE:
        operation["security"].append({})
    if needed:
        operation["description"] += f"\n\nA firm's key needs the scope `{needed[0]}`."


def _leave_out_null(operation: Document) -> None:
    """A body that may be left out is not also ``null``: clients stumble over either-or bodies."""
    content = operation.get("requestBody", {}).get("content", {})
    for media in content.values():
        choices = media["schema"].get("anyOf", [])
        left = [one for one in choices if one != {"type": "null"}]
        if len(left) == 1 != len(choices):
            media["schema"] = left[0]


def _condition(operation: Document, *, required: bool) -> None:
    operation.setdefault("parameters", []).append(
        {
            "name": "If-Match",
            "in": "header",
            "required": required,
            "description": _IF_MATCH,
            "schema": {"type": "string", "title": "If-Match", "examples": ["*"]},
        }
    )
    _refusals(operation, ChangedMeanwhileError, *([EtagNeededError] if required else []))


def _header_names(
    status: int, response: Document, tagged: Collection[str], *, counted: bool, writes: bool
) -> list[str]:
    """The headers of an answer; ``tagged`` are the models that have an ETag."""
    names = ["X-Request-Id"]
    if counted:
        names += ["RateLimit", "RateLimit-Policy"]
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        names += ["Retry-After"]
    if writes and status < HTTPStatus.BAD_REQUEST:
        names += ["Idempotency-Replayed", "X-Space-Version", "Dry-Run"]
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    if schema.get("$ref", "").rsplit("/", 1)[-1] in tagged:
        names += ["ETag"]
    return names


def _rehearsals(operation: Document) -> None:
    """A dry run answers 200 with what the call would answer."""
    done = next(one for one in ("200", "201", "202") if one in operation["responses"])
    if operation["operationId"] in NOT_REHEARSED:
        operation["parameters"] = [
            one for one in operation["parameters"] if one["name"] != "dry_run"
        ]
    elif done != "200":
        content = json.loads(json.dumps(operation["responses"][done]["content"]))
        operation["responses"]["200"] = {
            "description": "试运行: what `dry_run=true` answers; nothing was done",
            "content": content,
        }


def _refusals(operation: Document, *errors: type[SpaceRelayError]) -> None:
    for status, response in problems(*errors).items():
        if int(status) == HTTPStatus.UNPROCESSABLE_ENTITY:
            continue
        said = operation["responses"].setdefault(
            str(status), {"description": "", "content": response["content"]}
        )
        said["description"] = "; ".join(
            filter(None, [said["description"], response["description"]])
        )
