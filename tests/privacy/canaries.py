"""Made-up people and secrets that must be heard nowhere, and ears that know them in any dress."""

import base64
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

#: By what they are; each a text that stands nowhere else.
PEOPLE = {
    "name": "示鸣禽丙丁",
    "phone": "+8613800007391",
    "email": "canary.7391@nest.example.invalid",
    "applicant": "applicant.8264@cage.example.invalid",
}


def dresses(kind: str, canary: str) -> Iterator[bytes]:
    """How a canary may be written: as it is, starred too little, escaped, or encoded."""
    plain = [canary]
    if kind == "name":
        plain = [canary[1:]]  # the first character is shown with a star
    elif kind == "phone":
        number = canary.removeprefix("+86")
        plain = [number, f"{number[:3]} {number[3:7]} {number[7:]}", number[3:]]
    elif kind in {"email", "applicant"}:
        plain = [canary.partition("@")[0]]
    for one in plain:
        written = one.encode()
        yield written
        yield json.dumps(one)[1:-1].encode()
        yield quote(one).encode()
        yield written.hex().encode()
        yield base64.b64encode(written).rstrip(b"=")[:-1]
        yield base64.urlsafe_b64encode(written).rstrip(b"=")[:-1]


class Ears:
    """Hear canaries in bytes."""

    def __init__(self, canaries: Iterable[tuple[str, str]] = PEOPLE.items()) -> None:
        self._known: dict[str, list[bytes]] = {}
        for kind, canary in canaries:
            self.know(kind, canary)

    def know(self, kind: str, canary: str) -> None:
        """Listen for another one; what is short would be heard everywhere."""
        assert len(canary) >= 5, kind
        self._known[kind] = sorted({form.lower() for form in dresses(kind, canary)})

    @property
    def kinds(self) -> set[str]:
        return set(self._known)

    def hear(self, heard: bytes) -> set[str]:
        """Which are in there, in small letters or capitals."""
        lower = heard.lower()
        return {kind for kind, forms in self._known.items() if any(form in lower for form in forms)}
