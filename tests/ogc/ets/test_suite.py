"""OGC's executable test suite for OGC API - Features 1.0: each of its methods, by its name."""

from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from app.database.engine import make_engine
from app.database.roles import APP, PUBLIC
from app.main import create_app
from app.settings import Settings
from tests.ogc.clients.conftest import Served
from tests.ogc.ets import suite
from tests.ogc.ets.suite import Check, Service, Variant


def of_pages(name: str, variant: Variant, operation: str) -> dict[str, Check]:
    """The checks that the suite repeats for pages, boxes, limits and days."""
    return {
        operation: suite.answered(variant),
        f"{name}_TypeProperty": suite.typed(variant),
        f"{name}_FeaturesProperty": suite.with_features(variant),
        f"{name}_Links": suite.linked(variant),
        f"{name}_TimeStamp": suite.stamped(variant),
        f"{name}_NumberMatched": suite.counted(variant),
    }


_OF_ALL = "validateFeatureCollectionsMetadataOperation"
SUITE: dict[str, dict[str, Check]] = {
    "LandingPage": {
        "landingPageRetrieval": suite.landing_page,
        "landingPageValidation": suite.landing_links,
    },
    "ApiDefinition": {
        "openapiDocumentRetrieval": suite.api_document,
        "apiDefinitionValidation": suite.api_valid,
    },
    "Conformance": {"validateConformanceOperationAndResponse": suite.conformance},
    "FeatureCollections": {
        _OF_ALL: suite.collections,
        f"{_OF_ALL}Response_Links": suite.collections_links,
        f"{_OF_ALL}Response_Items": suite.collections_items,
        f"{_OF_ALL}Response_CrsProperty": suite.collections_crs,
        f"{_OF_ALL}Response_Content": suite.collections_content,
        f"{_OF_ALL}Response_Links_v101": suite.collections_links,
        f"{_OF_ALL}Response_Items_v101": suite.collections_items,
        f"{_OF_ALL}Response_Items_Links_v101": suite.collections_items_links,
        f"{_OF_ALL}Response_Extent_v101": suite.extents_hold,
    },
    "FeatureCollection": {
        "validateFeatureCollectionMetadataOperation": suite.collection,
        "validateFeatureCollectionMetadataResponse": suite.collection_same,
    },
    "Features": {
        **of_pages("validateFeaturesResponse", suite.plain, "validateFeaturesOperation"),
        "validateFeaturesResponse_GeometryInCRS84": suite.in_crs84(suite.plain),
        "validateFeaturesResponse_NumberReturned": suite.returned(suite.plain),
    },
    "FeaturesBBox": {
        "boundingBoxParameterDefinition": suite.box_declared,
        "validateFeaturesWithBoundingBoxResponse": suite.box_holds,
        **of_pages(
            "validateFeaturesWithBoundingBoxResponse",
            suite.boxed,
            "validateFeaturesWithBoundingBoxOperation",
        ),
        "validateFeaturesResponse_GeometryInCRS84": suite.in_crs84(suite.boxed),
        "validateFeaturesResponse_NumberReturned": suite.returned(suite.boxed),
    },
    "FeaturesLimit": {
        "limitParameterDefinition": suite.limit_declared,
        "validateFeaturesWithLimitResponse": suite.limit_holds,
        **of_pages(
            "validateFeaturesWithLimitResponse", suite.limited, "validateFeaturesWithLimitOperation"
        ),
        "validateFeaturesWithLimitResponse_GeometryInCRS84": suite.in_crs84(suite.limited),
        "validateFeaturesResponse_NumberReturned": suite.returned(suite.limited),
    },
    "FeaturesTime": {
        "timeParameterDefinition": suite.time_declared,
        "validateFeaturesWithDateTimeResponse": suite.time_holds,
        **of_pages(
            "validateFeaturesWithDateTimeResponse",
            suite.dated,
            "validateFeaturesWithDateTimeOperation",
        ),
        "validateFeaturesWithDateTimeResponse_GeometryInCRS84": suite.in_crs84(suite.dated),
        "validateFeaturesResponse_NumberReturned": suite.returned(suite.dated),
    },
    "FeaturesErrorConditions": {
        "validateFeaturesOperation_QueryParamInvalid": suite.wrong_value,
        "validateFeaturesOperation_QueryParamUnknown": suite.unknown_name,
    },
    "Feature": {
        "featureOperation": suite.feature,
        "validateFeatureResponse": suite.feature_links,
    },
    "CrsRequirementClassPrecondition": {"verifyConformanceClass": suite.crs_class},
    "DiscoveryCollectionCrsUri": {
        "verifyCollectionCrsIdentifierOfCrsProperty": suite.crs_identifiers("crs", alone=True),
        "verifyCollectionCrsIdentifierOfStorageCrsProperty": suite.crs_identifiers(
            "storageCrs", alone=True
        ),
    },
    "DiscoveryCollectionDefaultCrs": {
        "verifyCollectionCrsIdentifierOfCrsProperty": suite.crs_default(alone=True)
    },
    "DiscoveryCollectionStorageCrs": {
        "verifyCollectionCrsIdentifierOfCrsProperty": suite.crs_storage(alone=True)
    },
    "DiscoveryCollectionsCrsUri": {
        "verifyCollectionsCrsIdentifierOfCrsProperty": suite.crs_identifiers("crs", alone=False),
        "verifyCollectionsCrsIdentifierOfStorageCrs": suite.crs_identifiers(
            "storageCrs", alone=False
        ),
        "verifyCollectionsCollectionCrsIdentifierOfCrsProperty": suite.crs_identifiers(
            "crs", alone=False
        ),
        "verifyCollectionsCollectionCrsIdentifierOfStorageCrs": suite.crs_identifiers(
            "storageCrs", alone=False
        ),
    },
    "DiscoveryCollectionsDefaultCrs": {
        "verifyCollectionsPathCollectionCrsPropertyContainsDefaultCrs": suite.crs_default(
            alone=False
        )
    },
    "DiscoveryCollectionsStorageCrs": {
        "verifyCollectionsPathCollectionCrsPropertyContainsStorageCrs": suite.crs_storage(
            alone=False
        )
    },
    "BBoxCrsParameter": {
        "verifyBboxCrsParameterWithDefaultCrs": suite.answered(suite.boxed),
        "verifyBboxCrsParameter": suite.box_in_each,
    },
    "BBoxCrsParameterDefault": {"verifyBboxCrsParameterDefault": suite.box_default},
    "BBoxCrsParameterInvalid": {"verifyBboxCrsParameterInvalid": suite.box_unoffered},
    "FeatureCrsParameter": {"verifyFeatureCrsParameter": suite.feature_in_each},
    "FeatureCrsParameterDefault": {"verifyFeatureCrsParameterDefault": suite.feature_default},
    "FeatureCrsParameterInvalid": {"verifyFeatureCrsParameterInvalid": suite.feature_unoffered},
    "FeatureCrsParameterTransform": {
        "verifyFeatureCrsParameterTransformWithCrsParameter": suite.feature_default,
        "verifyFeatureCrsParameterTransformWithoutCrsParameter": suite.feature_moved,
    },
    "FeaturesCrsParameter": {"verifyFeaturesCrsParameter": suite.items_in_each},
    "FeaturesCrsParameterDefault": {"verifyFeaturesCrsParameterDefault": suite.items_default},
    "FeaturesCrsParameterInvalid": {"verifyFeaturesCrsParameterInvalid": suite.items_unoffered},
    "FeaturesCrsParameterTransform": {
        "verifyFeaturesCrsParameterTransformWithoutCrsParameter": suite.items_default,
        "verifyFeaturesCrsParameterTransformWithCrsParameter": suite.items_moved,
    },
}
METHODS = [
    pytest.param(check, id=f"{group}.{method}")
    for group, methods in SUITE.items()
    for method, check in methods.items()
]


@pytest.fixture(scope="module")
def service(seeded_engine: Engine) -> Iterator[Service]:
    url = seeded_engine.url.render_as_string(hide_password=False)
    engines = [make_engine(url, pool_size=2, role=role) for role in (APP, PUBLIC)]
    settings = Settings(log_level="ERROR", rate_limits={})
    app = create_app(engines[0], settings, public_engine=engines[1])
    with TestClient(app) as client:
        yield Service(client)
    for engine in engines:
        engine.dispose()


def test_no_method_of_the_suite_is_missing() -> None:
    """80 of the suite of 2025, four that came with version 1.0.1; one of them is below."""
    assert len({one.id for one in METHODS}) == len(METHODS) == 84 - 1


def test_general_http_http(gis: Served) -> None:
    """GeneralHttp.http, asked of a real server: a client within the process always says so."""
    connection = HTTPConnection("127.0.0.1", gis.port, timeout=30)
    connection.request("GET", "/ogc/")
    assert connection.getresponse().version == 11
    connection.close()


@pytest.mark.parametrize("check", METHODS)
def test_method(service: Service, check: Check) -> None:
    check(service)


class Broken(Service):
    """The control: a service whose answers say what is not so."""

    def __init__(self, service: Service, spoil: dict[str, Any]) -> None:
        self._honest, self._spoil = service, spoil

    def good(self, path: str, media_type: str = suite.JSON, **parameters: str) -> Any:
        told = self._honest.good(path, media_type, **parameters)
        return {**told, **self._spoil} if "/items" in path else told


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("Features.validateFeaturesResponse_TypeProperty", {"type": "Features"}),
        ("Features.validateFeaturesResponse_NumberReturned", {"numberReturned": -1}),
        ("Features.validateFeaturesResponse_NumberMatched", {"numberMatched": 10_000_000}),
        ("Features.validateFeaturesResponse_Links", {"links": []}),
        ("FeaturesLimit.validateFeaturesWithLimitResponse", {"features": [{}] * 101}),
    ],
)
def test_a_false_answer_is_found_out(service: Service, name: str, spoil: dict[str, Any]) -> None:
    group, _, method = name.partition(".")

    with pytest.raises(AssertionError):
        SUITE[group][method](Broken(service, spoil))
