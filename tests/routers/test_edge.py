"""The edge: health, problems, limits, request ids."""

from fastapi.testclient import TestClient


def test_the_process_and_its_database_are_well(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "checks": {"database": "ok", "migrations": "ok"}}


def test_an_unknown_path_is_a_problem_document(client: TestClient) -> None:
    answer = client.get("/api/v1/nothing-here")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "/problems/not-found"
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_a_wrong_credential_is_refused_even_for_public_reads(client: TestClient) -> None:
    for value in ("Bearer sr_live_abc_def", "Basic abc", "Bearer x", "Bearer 密钥".encode()):
        answer = client.get("/api/v1/units", headers={"Authorization": value})
        assert answer.status_code == 401, value
        assert answer.headers["www-authenticate"] == "Bearer"


def test_metrics_are_there_for_prometheus(client: TestClient) -> None:
    client.get("/healthz")
    assert "space_relay_http_requests_total" in client.get("/metrics").text
