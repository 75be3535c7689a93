"""The semantic channel's encoder: a page's words in chunks, a vector for each; a page scores by its best chunk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Fingerprint, PageInput, Vector, Words
from retrieval.encoders.sentence_model import SentenceModel, batches

LENGTH = 200  # tokens of a chunk
BATCH_TOKENS = 1600  # through the model at once: larger batches leave the processor's caches and are no faster


class SemanticEncoder:
    """Text embeddings of chunks of a page's words: an `Encoder` and a `TextEncoder`.

    ``model`` and ``threads``: see `SentenceModel`, whose errors this raises. ``length``: tokens of a chunk.
    """

    batch_size = 16

    def __init__(self, model: str = "auto", *, threads: int = 0, length: int = LENGTH) -> None:
        self.model = SentenceModel(model, threads=threads)
        self.length = length
        self._remembered = lru_cache(maxsize=512)(self._encode_query)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Known from the files alone for the default model; a folder's graph is loaded for its dimension."""
        settings = f"chunks of {self.length} tokens"
        return Fingerprint(f"semantic:{self.model.name}", self.model.revision, "multi", self.model.dim, settings)

    def chunks(self, words: Words) -> list[tuple[int, int]]:
        """The word ranges (start, stop exclusive) of a page's vectors, in the vectors' order; [] for no words."""
        _, ends = self._tokens(words)
        return chunk_ranges(ends, self.length)

    def encode_pages(self, pages: Sequence[PageInput]) -> list[Vector | None]:
        """One float32 [chunks, dim] a page, rows of length 1; None for a page without words."""
        texts: list[list[int]] = []
        counts = []
        for page in pages:
            ids, ends = self._tokens(page.words)
            ranges = chunk_ranges(ends, self.length)
            bounds = np.concatenate([[0], ends])
            texts += [ids[bounds[start] : bounds[stop]] for start, stop in ranges]
            counts.append(len(ranges))
        vectors = self._encode(texts)
        parts = np.split(vectors, np.cumsum(counts)[:-1]) if counts else []
        return [part if len(part) else None for part in parts]

    def encode_query(self, query: str) -> Vector | None:
        """float32 [1, dim], read-only (recent queries are remembered); None for a query without words."""
        return self._remembered(query)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [len(texts), dim], rows of length 1."""
        return self._encode([self.model.tokenizer.encode(text, add_special_tokens=False).ids for text in texts])

    def _encode_query(self, query: str) -> Vector | None:
        if not query.strip():
            return None
        vector = self.encode_texts([query])
        vector.setflags(write=False)
        return vector

    def _encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.model.dim), np.float32)
        for batch in batches([len(text) for text in texts], BATCH_TOKENS):
            vectors[batch] = self.model.encode([texts[position] for position in batch])
        return vectors

    def _tokens(self, words: Words) -> tuple[list[int], NDArray[np.int64]]:
        """A page's token numbers, and for each word the number of tokens up to its end."""
        encoding = self.model.tokenizer.encode(" ".join(words.texts), add_special_tokens=False)
        starts = np.array([start for start, _ in encoding.offsets], np.int64)
        word_ends = np.cumsum([len(text) + 1 for text in words.texts], dtype=np.int64)
        return encoding.ids, np.searchsorted(starts, word_ends)


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
