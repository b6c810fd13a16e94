"""A planner's desk: who draws, as GIS tools send it."""

from dataclasses import dataclass
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response
from shapely import Polygon, box
from shapely.geometry import mapping

from app.models.space import Park

#: As QGIS says what it sends.
GEOJSON = {"Content-Type": "application/geo+json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
PLOT = {
    "code": "DRAWN-1",
    "name_zh": "新地块",
    "name_en": "New plot",
    "land_use_code": "M1",
    "tenure": "grant",
}


@dataclass
class Desk:
    """A planner's: a client, a token, and one park with room to draw in."""

    client: TestClient
    headers: dict[str, str]
    park: Park

    def items(self, layer: str = "parcels") -> str:
        return f"/ogc/collections/{layer}/items"

    def draw(self, outline: Any, *, layer: str = "parcels", **said: Any) -> Response:
        asked = said.pop("params", {})
        headers = self.headers | GEOJSON | said.pop("headers", {})
        properties = {**PLOT, "park_code": self.park.code} if layer == "parcels" else {}
        body = {"type": "Feature", "geometry": mapping(outline), "properties": properties | said}
        answer: Response = self.client.post(
            self.items(layer), json=body, headers=headers, params=asked
        )
        return answer

    def drawn(self, outline: Any, **said: Any) -> str:
        """The address of what was drawn."""
        answer = self.draw(outline, **said)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].removeprefix("http://testserver")

    def send(
        self, method: str, path: str, body: Any, match: str | None = None, **more: Any
    ) -> Response:
        headers = self.headers | ({} if match is None else {"If-Match": match})
        headers |= MERGE if method == "PATCH" else GEOJSON
        answer: Response = self.client.request(method, path, json=body, headers=headers, **more)
        return answer

    def patch(self, path: str, *, outline: Any = None, **properties: Any) -> Response:
        """Change as QGIS does: without a word of what was read."""
        body = {"properties": properties} if outline is None else {"geometry": mapping(outline)}
        return self.send("PATCH", path, body)

    def former(self, **asked: Any) -> list[dict[str, Any]]:
        """What changes replaced, the latest first."""
        answer = self.client.get("/api/v1/former-features", params=asked, headers=self.headers)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    def restore(self, former: dict[str, Any]) -> Response:
        """Put it back."""
        answer: Response = self.client.post(
            f"/api/v1/former-features/{former['id']}/restore", headers=self.headers
        )
        return answer


def free(east: float = 0.0) -> Polygon:
    """Ground of the park that no factory builds on; so many degrees further east."""
    return box(121.6092 + east, 31.2092, 121.6098 + east, 31.2098)
