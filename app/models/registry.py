"""Imports every table, so that the metadata is complete for migrations."""

from app.database.base import Base
from app.models import (
    access,
    approval,
    audit,
    claim,
    company,
    contact,
    firm_access,
    former_feature,
    lease,
    match,
    programme,
    queue,
    right,
    space,
    space_change,
    staff,
    unit_event,
    wall,
    webhook,
)

MODULES = (
    *(access, audit, claim, company, lease, match, programme, queue, right, space, space_change),
    *(approval, contact, firm_access, former_feature, staff, unit_event, wall, webhook),
)
metadata = Base.metadata
