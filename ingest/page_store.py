"""What retrieval needs to know of one collection: current versions, words, coverage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from folioscope.domain import Coverage, DocumentRef, Metadata, PageKey, Words
from ingest import lookups
from ingest.catalog import Catalog


class CollectionPages:
    """A `folioscope.ports.PageStore` over one collection, remembered until the catalog changes."""

    def __init__(self, collection_id: str, catalog: Catalog) -> None:
        self._id = collection_id
        self._catalog = catalog
        self._seen: object = None
        self._refs: dict[str, DocumentRef | None] = {}
        self._coverage: dict[str, Coverage] | None = None

    def _fresh(self) -> None:
        state = self._catalog.database.state()
        if self._seen != state:
            self._refs = {}
            self._coverage = None
            self._seen = state  # last: who finds it so in another thread must not find what was known before

    def current(self, document_ids: Iterable[str]) -> Mapping[str, DocumentRef]:
        """See `folioscope.ports.PageStore`."""
        self._fresh()
        refs = self._refs
        asked = set(document_ids)
        if missing := asked - refs.keys():
            found = self._catalog.current(self._id, missing)
            refs.update({document: found.get(document) for document in missing})
        return {document: ref for document in asked if (ref := refs[document])}

    def tagged(self, metadata: Metadata) -> frozenset[str]:
        """See `folioscope.ports.PageStore`."""
        return lookups.tagged(self._catalog, self._id, metadata)

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        """See `folioscope.ports.PageStore`."""
        return self._catalog.words(keys)

    def coverage(self) -> Mapping[str, Coverage]:
        """See `folioscope.ports.PageStore`."""
        self._fresh()
        coverage = self._coverage
        if coverage is None:
            coverage = self._coverage = self._catalog.fills.coverage(self._id)
        return coverage
