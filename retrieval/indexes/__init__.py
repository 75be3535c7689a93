"""Where a channel's vectors lie: each index implements `folioscope.ports.PageIndex`."""

from pathlib import Path

from folioscope.domain import Fingerprint
from folioscope.ports import PageIndex
from retrieval.indexes.edge import EdgeIndex
from retrieval.indexes.mapped import MappedIndex
from retrieval.indexes.memory import MemoryIndex

__all__ = ["EdgeIndex", "MappedIndex", "MemoryIndex", "open_index"]


def open_index(folder: Path, fingerprint: Fingerprint, *, pooled: bool = False) -> PageIndex:
    """The index in this folder, made there if there is none; raises as `EdgeIndex` does.

    ``pooled``: pages have hundreds of vectors, as those of page images have; they are pooled for the first stages of a
    search.
    """
    return MappedIndex(folder, fingerprint) if pooled else EdgeIndex(folder, fingerprint)
