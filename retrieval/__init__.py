"""Finding the pages that matter to a question: encoders, indexes, channels, fusion, regions."""

from retrieval.channel import Channel
from retrieval.encoders import analyzer, open_encoder
from retrieval.indexes import EdgeIndex, MemoryIndex, open_index

__all__ = ["Channel", "EdgeIndex", "MemoryIndex", "analyzer", "open_encoder", "open_index"]
