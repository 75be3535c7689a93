"""Where a channel's vectors lie: each implements `folioscope.ports.PageIndex`."""

from retrieval.indexes.memory import MemoryIndex
from retrieval.indexes.qdrant import EdgeIndex

__all__ = ["EdgeIndex", "MemoryIndex"]
