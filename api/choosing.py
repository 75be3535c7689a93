"""Which documents a search or a question is about, by their ids and by their metadata."""

from __future__ import annotations

from collections.abc import Iterable

from folioscope.domain import Metadata, Where
from ingest import Library
from ingest.catalog import Collection
from ingest.lookups import tagged


def chosen(
    library: Library, collection: Collection, documents: Iterable[str] | None, metadata: Metadata | None
) -> Where | None:
    """None: all. Metadata is looked up in the catalog, which knows changes at once."""
    if documents is None and not metadata:
        return None
    named = None if documents is None else frozenset(documents)
    if not metadata:
        return Where(named)
    found = tagged(library.catalog, collection, metadata)
    return Where(found if named is None else found & named)
