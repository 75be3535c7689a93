"""The semantic channel's encoder: a page's words in chunks, a vector for each; a page scores by its best chunk.

What a chunk is stands here; what turns a chunk into a vector is a `TextModel`: onnxruntime (`sentence_model`), torch
(`sentence_transformer`) or a server (`remote`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Fingerprint, PageInput, Vector, Words
from retrieval.encoders.hub import is_repo
from retrieval.encoders.sentence_model import SentenceModel, folder_graph

LENGTH = 200  # tokens of a chunk


class TextModel(Protocol):
    """Texts -> vectors. Knows nothing of pages and chunks."""

    @property
    def name(self) -> str:
        """As shown to people and written into fingerprints."""
        ...

    @property
    def revision(self) -> str:
        """Changes with the weights."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def token_ends(self, words: Sequence[str]) -> NDArray[np.int64]:
        """int64 [words]: the number of tokens up to each word's end."""
        ...

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        """float32 [len(texts), dim], rows of length 1. ``query``: texts are questions, for models that tell."""
        ...


class SemanticEncoder:
    """Text embeddings of chunks of a page's words: an `Encoder` and a `TextEncoder`.

    ``model``: a `TextModel`, or a name for `open_text_model`, whose errors this raises. ``threads``: of onnxruntime.
    ``length``: tokens of a chunk.
    """

    batch_size = 16

    def __init__(self, model: str | TextModel = "auto", *, threads: int = 0, length: int = LENGTH) -> None:
        self.model = open_text_model(model, threads=threads) if isinstance(model, str) else model
        self.length = length
        self._remembered = lru_cache(maxsize=512)(self._encode_query)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Known from the files alone for the default model; others are asked for their dimension."""
        settings = f"chunks of {self.length} tokens"
        return Fingerprint(f"semantic:{self.model.name}", self.model.revision, "multi", self.model.dim, settings)

    def chunks(self, words: Words) -> list[tuple[int, int]]:
        """The word ranges (start, stop exclusive) of a page's vectors, in the vectors' order; [] for no words."""
        return chunk_ranges(self.model.token_ends(words.texts), self.length)

    def encode_pages(self, pages: Sequence[PageInput]) -> list[Vector | None]:
        """One float32 [chunks, dim] a page, rows of length 1; None for a page without words."""
        chunks = [self.chunks(page.words) for page in pages]
        texts = [
            " ".join(page.words.texts[start:stop])
            for page, ranges in zip(pages, chunks, strict=True)
            for start, stop in ranges
        ]
        vectors = self.encode_texts(texts)
        parts = np.split(vectors, np.cumsum([len(ranges) for ranges in chunks])[:-1]) if chunks else []
        return [part if len(part) else None for part in parts]

    def encode_query(self, query: str) -> Vector | None:
        """float32 [1, dim], read-only (recent queries are remembered); None for a query without words."""
        return self._remembered(query)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [len(texts), dim], rows of length 1."""
        return self.model.encode(texts) if texts else np.zeros((0, self.model.dim), np.float32)

    def _encode_query(self, query: str) -> Vector | None:
        if not query.strip():
            return None
        vector = self.model.encode([query], query=True)
        vector.setflags(write=False)
        return vector


def open_text_model(name: str, *, threads: int = 0, trust_remote_code: bool = False) -> TextModel:
    """``auto``, a folder or a hub id; a folder with an ONNX file is run by onnxruntime, all others by torch.

    ``trust_remote_code``: of `SentenceTransformerModel`. Raises as it and `SentenceModel` do.
    """
    folder = Path(name).expanduser()
    is_torch = (folder / "modules.json").is_file() or (folder / "config.json").is_file() or is_repo(name)
    if name == "auto" or folder_graph(folder) or not is_torch:
        return SentenceModel(name, threads=threads)
    from retrieval.encoders.sentence_transformer import SentenceTransformerModel

    return SentenceTransformerModel(name, trust_remote_code=trust_remote_code)


def chunk_ranges(ends: NDArray[np.int64], length: int) -> list[tuple[int, int]]:
    """A page's words in runs of whole words of at most ``length`` tokens; the last may have a quarter more.

    ``ends``: int64 [words], the number of tokens up to each word's end. No word is left out; one of more than
    ``length`` tokens is a run of its own. A shorter rest would match too many questions, so it joins the last run.
    """
    ranges: list[tuple[int, int]] = []
    start, before, words = 0, 0, len(ends)
    while start < words and before < ends[-1]:
        least = int(np.searchsorted(ends, before, side="right")) + 1  # to have a token; some words have none
        stop = max(int(np.searchsorted(ends, before + length, side="right")), least)
        if ends[-1] <= max(before + length + length // 4, ends[stop - 1]):
            stop = words
        ranges.append((start, stop))
        start, before = stop, int(ends[stop - 1])
    return ranges
