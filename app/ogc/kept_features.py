"""Features are kept as they were written, while nothing that they show has changed.

Which features are on a page the database is asked each time, and its answer says what it saw. To
write them as JSON is most of a page's work; whoever pans a map or asks again nearby is shown the
same ones.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from sqlalchemy.orm import Session

from app.ogc.version import Versions

#: Memory that the features of one database may take.
MOST_BYTES = 96 << 20
#: What an entry costs besides its bytes.
_ENTRY_BYTES = 350
#: Ways of showing them; who asks for endless ones has the rest written again.
_MOST_WAYS = 1_000

_Key = tuple[int, str]


class KeptFeatures:
    """The features of one database as text, the least lately asked for dropped first.

    Many threads may ask at once.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, versions: Versions | None = None) -> None:
        self.versions = versions or Versions()
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._kept: OrderedDict[_Key, bytes] = OrderedDict()
        #: A short name for each way of showing features.
        self._ways: dict[Hashable, int] = {}
        self._bytes = 0
        self._version = ""

    @property
    def bytes_kept(self) -> int:
        """How much memory the features take."""
        return self._bytes

    def current(self, session: Session, snapshot: str, instant: datetime) -> "Kept":
        """What is kept that is no older than what a statement of the session saw.

        Args:
            session: of which no statement has yet changed anything.
            snapshot: ``pg_current_snapshot()`` in that statement.
            instant: its ``statement_timestamp()``.
        """
        return Kept(self, self.versions.at(session, snapshot, instant))

    def find(self, version: str, way: Hashable, rows: Sequence[str]) -> list[bytes | None]:
        """What is kept of these rows of a version, each in its place."""
        with self._lock:
            short = self._ways.get(way) if version == self._version else None
            if short is None:
                return [None] * len(rows)
            keys = [(short, row) for row in rows]
            found = [self._kept.get(key) for key in keys]
            for key, feature in zip(keys, found, strict=True):
                if feature is not None:
                    self._kept.move_to_end(key)
            return found

    def keep(self, version: str, way: Hashable, features: Mapping[str, bytes]) -> None:
        """Keep features by their rows, written after the version was asked for."""
        with self._lock:
            # Who comes late with an earlier version only has what is kept made once more.
            if version != self._version or len(self._ways) >= _MOST_WAYS:
                self._kept.clear()
                self._ways.clear()
                self._bytes = 0
                self._version = version
            short = self._ways.setdefault(way, len(self._ways))
            for row, feature in features.items():
                former = self._kept.pop((short, row), None)
                self._bytes += _cost(feature) - (0 if former is None else _cost(former))
                self._kept[short, row] = feature
            while self._bytes > self._most_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= _cost(dropped)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one version."""

    features: KeptFeatures
    version: str

    def find(self, way: Hashable, rows: Sequence[str]) -> list[bytes | None]:
        """What is kept of these rows, shown in that way, each in its place."""
        return self.features.find(self.version, way, rows)

    def keep(self, way: Hashable, features: Mapping[str, bytes]) -> None:
        """Keep these, written after the version was asked for, by their rows."""
        self.features.keep(self.version, way, features)


def _cost(feature: bytes) -> int:
    return len(feature) + _ENTRY_BYTES
