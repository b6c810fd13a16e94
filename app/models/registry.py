"""Imports every table, so that the metadata is complete for migrations."""

from app.database.base import Base
from app.models import access, claim, company, programme, space

MODULES = (access, claim, company, programme, space)
metadata = Base.metadata
