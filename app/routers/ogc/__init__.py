"""The OGC API over HTTP: what GIS tools call."""
