"""Filters that GIS tools send, in the Common Query Language of the OGC (CQL2).

A filter is read into a small tree (`text`, `json_form`), checked against the collection's fields,
and compiled to an expression in which every word of the caller is bound (`compiler`).
"""

from app.ogc.cql2.compiler import FUNCTIONS, GEOMETRY, compile_filter
from app.ogc.cql2.values import equals

__all__ = ["FUNCTIONS", "GEOMETRY", "compile_filter", "equals"]
