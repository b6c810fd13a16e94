"""Identifiers: random outside, and stable where the same facts are loaded twice."""

from uuid import UUID, uuid5

#: Namespace of ids derived from reference codes; never changes.
REFERENCE_NAMESPACE = UUID("6f1c2c3e-5d0f-5b44-9a52-3b3a9a3f7d10")


def reference_id(kind: str, code: str) -> UUID:
    """The id of a reference row, the same on every machine.

    ``kind`` is the table's name, ``code`` the row's own code.

    >>> reference_id("parks", "gene_island") == reference_id("parks", "gene_island")
    True
    """
    return uuid5(REFERENCE_NAMESPACE, f"{kind}/{code}")
