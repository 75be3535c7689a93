"""Where a channel's vectors lie: each index implements `folioscope.ports.PageIndex`."""

from pathlib import Path

from folioscope.domain import Fingerprint
from folioscope.ports import PageIndex
from retrieval.indexes.memory import MemoryIndex
from retrieval.indexes.qdrant import EdgeIndex

__all__ = ["EdgeIndex", "MemoryIndex", "open_index"]


def open_index(folder: Path, fingerprint: Fingerprint) -> PageIndex:
    """The index in this folder, made there if there is none; raises as `EdgeIndex` does."""
    return EdgeIndex(folder, fingerprint)
