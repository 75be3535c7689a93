"""The lexical channel's encoder: BM25 as a sparse vector over words and adjacent pairs of words.

A page's values are the term-frequency part of BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance
Framework: BM25 and Beyond"); the index multiplies them with the inverse document frequency at query time (Qdrant's
IDF modifier). Nothing here depends on other pages, so that pages can come and go: the average length is a constant.

Terms become indices by CRC-32. Among a million distinct terms about 120 pairs share an index, which adds their scores
up and harms nothing.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Fingerprint, PageInput, SparseVector
from retrieval.analysis import REVISION, TextAnalyzer

# Chosen on corpus/dev and checked on held-out documents: docs/experiments.md.
K1 = 1.2
B = 0.9
AVERAGE_LENGTH = 350.0
PAIR_WEIGHT = 0.5
TITLE_WEIGHT = 0.5
OTHER_LANGUAGE_WEIGHT = 0.3

_ANALYZER = TextAnalyzer()
_EXTENSION = re.compile(r"\.\w{1,5}$")
_CASE_OR_DIGIT = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")


class LexicalEncoder:
    """Implements `folioscope.ports.Encoder` with sparse vectors; stateless, needs no weights."""

    batch_size = 64

    def __init__(self) -> None:
        self.analyzer = _ANALYZER

    @property
    def fingerprint(self) -> Fingerprint:
        """The recipe: its constants, the revision of the analysis, the stemmer's version."""
        stemmer = ".".join(version("PyStemmer").split(".")[:2])
        settings = (
            f"k1={K1} b={B} average={AVERAGE_LENGTH:g} pairs={PAIR_WEIGHT} title={TITLE_WEIGHT} "
            f"index=crc32 stemmer=PyStemmer-{stemmer}"
        )
        return Fingerprint("bm25", REVISION, "sparse", 0, settings)

    def encode_pages(self, pages: Sequence[PageInput]) -> list[SparseVector | None]:
        """Values: BM25's term-frequency part, 0 < value < k1 + 1 for a word; None for a page without terms."""
        return [self._encode_page(page) for page in pages]

    def encode_query(self, query: str) -> SparseVector | None:
        """Values: how often a term is asked for; less for stems of a language that is only possible."""
        words = self.analyzer.alternatives(query)
        weights: defaultdict[int, float] = defaultdict(float)
        for stems in words:
            _add_alternatives(weights, [term_index(stem) for stem in stems])
        for left, right in pairwise(words):
            pairs = zip(left, right, strict=True)
            _add_alternatives(weights, [pair_index(term_index(a), term_index(b)) for a, b in pairs])
        if not weights:
            return None
        return SparseVector(np.array(list(weights), np.uint32), np.array(list(weights.values()), np.float32))

    def _encode_page(self, page: PageInput) -> SparseVector | None:
        terms = self.analyzer.terms(page.words.text())
        if not terms:
            return None
        indices = np.array([term_index(term) for term in terms], np.uint32)
        words, counts = np.unique(indices, return_counts=True)
        pairs, pair_counts = np.unique(_pair_indices(indices), return_counts=True)
        title = _title_indices(page.title)
        saturated = [
            saturate(counts, len(terms)),
            saturate(pair_counts, len(terms)) * PAIR_WEIGHT,
            np.full(len(title), TITLE_WEIGHT, np.float32),
        ]
        return _merge(np.concatenate([words, pairs, title]), np.concatenate(saturated))


def saturate(counts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
    """BM25's term-frequency part for terms that occur ``counts`` times on a page of ``length`` terms."""
    tf = counts.astype(np.float32)
    return tf * np.float32(K1 + 1) / (tf + np.float32(K1 * (1 - B + B * length / AVERAGE_LENGTH)))


def title_terms(title: str) -> list[str]:
    """The distinct terms of a file name, also split where case or digits change: ``AnnualReport_2023Q2.pdf``."""
    name = _EXTENSION.sub("", title)
    return sorted({*_ANALYZER.terms(name), *_ANALYZER.terms(_CASE_OR_DIGIT.sub(" ", name))})


@lru_cache(maxsize=1 << 16)
def term_index(term: str) -> int:
    """CRC-32 of the term in UTF-8."""
    return zlib.crc32(term.encode())


def pair_index(left: int, right: int) -> int:
    """The index of two adjacent terms; their order counts."""
    return (left * 0x9E3779B1 + right) & 0xFFFFFFFF


@lru_cache(maxsize=256)
def _title_indices(title: str) -> NDArray[np.uint32]:
    return np.array([term_index(term) for term in title_terms(title)], np.uint32)


def _pair_indices(indices: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return indices[:-1] * np.uint32(0x9E3779B1) + indices[1:]


def _add_alternatives(weights: defaultdict[int, float], indices: list[int]) -> None:
    """The likeliest alternative comes first and counts fully."""
    likeliest = indices[0]
    for index in set(indices):
        weights[index] += 1 if index == likeliest else OTHER_LANGUAGE_WEIGHT


def _merge(indices: NDArray[np.uint32], values: NDArray[np.float32]) -> SparseVector:
    """Adds up the values of equal indices."""
    distinct, inverse = np.unique(indices, return_inverse=True)
    return SparseVector(distinct, np.bincount(inverse, weights=values).astype(np.float32))
