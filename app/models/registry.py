"""Imports every table, so that the metadata is complete for migrations."""

from app.database.base import Base
from app.models import (
    access,
    claim,
    company,
    lease,
    match,
    programme,
    queue,
    right,
    space,
    unit_event,
)

MODULES = (access, claim, company, lease, match, programme, queue, right, space, unit_event)
metadata = Base.metadata
