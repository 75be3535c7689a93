"""Finding the pages that matter to a question: encoders, indexes, channels, fusion, regions."""

from retrieval.channel import Channel
from retrieval.encoders import analyzer, open_encoder, reads_images
from retrieval.fusion import fuse
from retrieval.indexes import EdgeIndex, MemoryIndex, erase_index, index_exists, open_index
from retrieval.regions import snippet, text_regions
from retrieval.retriever import Retriever

__all__ = [
    "Channel",
    "EdgeIndex",
    "MemoryIndex",
    "Retriever",
    "analyzer",
    "erase_index",
    "fuse",
    "index_exists",
    "open_encoder",
    "open_index",
    "reads_images",
    "snippet",
    "text_regions",
]
