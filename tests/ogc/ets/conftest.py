"""The real server, for the one method that is about how it speaks HTTP."""

from tests.ogc.clients.conftest import gis

__all__ = ["gis"]
