"""Everything that one load writes, and its digest."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.seeding.copying import encoded
from app.seeding.files import Reference
from app.seeding.firms import make_firms
from app.seeding.layout import (
    blocks,
    demonstration_projects,
    facilities,
    links,
    parks,
    programme_buildings,
    programmes,
    zones,
)
from app.seeding.leases import Ledger
from app.seeding.records import Claim, Milestone, Programme, Record
from app.seeding.requests import space_requests
from app.seeding.space import Space, SpaceMaker

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def silent(_step: str, _done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows by table, parents before children."""

    tables: dict[str, Sequence[Record]]
    space: Space

    def sha256(self) -> str:
        """Digest of all rows as they are sent to the database."""
        digest = hashlib.sha256()
        for name, rows in self.tables.items():
            digest.update(f"{name} {len(rows)}\n".encode())
            for row in rows:
                digest.update(encoded(row))
        return digest.hexdigest()


def make_dataset(reference: Reference, seed: int, progress: Progress = silent) -> Dataset:
    """All rows of the Shanghai reference. The same reference and seed give the same rows."""
    maker = SpaceMaker(reference, seed)
    for done, _ in enumerate(maker.make(), start=1):
        progress("making buildings", done, len(reference.sites))
    space = maker.space
    progress("founding firms", 0, reference.firms.count)
    firms = list(make_firms(reference.firms, reference.requests, seed))
    progress("founding firms", len(firms), reference.firms.count)
    shared = list(facilities(reference, space))
    hosts = {row.unit_id for row in shared if row.unit_id is not None}
    claims: list[Claim] = list(Ledger(reference, space, firms, hosts, seed).claims())
    planned = [*programmes(reference), *demonstration_projects(reference, space, seed)]
    tables: dict[str, Sequence[Record]] = {
        "zones": list(zones(reference)),
        "parks": list(parks(reference)),
        "park_blocks": list(blocks(reference)),
        "programmes": [row for row in planned if isinstance(row, Programme)],
        "programme_milestones": [row for row in planned if isinstance(row, Milestone)],
        "parcels": space.parcels,
        "buildings": space.buildings,
        "programme_buildings": list(programme_buildings(reference, space)),
        "floors": space.floors,
        "building_links": list(links(reference, space)),
        "units": space.units,
        "shared_facilities": shared,
        "companies": [firm.company for firm in firms],
        "pipeline_assets": [asset for firm in firms for asset in firm.assets],
        "pipeline_stage_entries": [entry for firm in firms for entry in firm.entries],
        "space_requests": list(space_requests(reference, firms)),
        "claims": claims,
    }
    return Dataset(tables, space)


def row_count(dataset: Dataset) -> int:
    """Number of rows in all tables."""
    return sum(len(rows) for rows in dataset.tables.values())


def rows_of(dataset: Dataset) -> Iterator[Record]:
    """All rows, table by table."""
    for rows in dataset.tables.values():
        yield from rows
