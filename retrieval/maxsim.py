"""MaxSim, exactly: for each vector of the query the best dot product with a vector of the page, summed.

Khattab and Zaharia 2020 (ColBERT). Pages of different length lie one after the other without padding, so that there is
no padded vector that could win; `unpadded` brings a padded batch into that form. Vectors may be float32, float16 or
int8 with a scale for each: a block of pages at a time is turned into float32 in a buffer that stays in the processor's
cache, which costs little more than float32 vectors and needs no large temporaries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024  # vectors turned into float32 at a time: half a megabyte at 128 dimensions


class Rows(NamedTuple):
    """The vectors of pages, one page after the other.

    ``vectors``: float32, float16 or int8 [total, dim]. ``offsets``: int64 [pages + 1], rising from 0 to total; page i has
    the vectors ``offsets[i]`` to ``offsets[i + 1]``, at least one. ``scales``: [total], what each vector is to be
    multiplied by; None: by 1.
    """

    vectors: NDArray[Any]
    offsets: NDArray[np.int64]
    scales: NDArray[Any] | None = None


def max_sim(query: NDArray[np.float32], pages: Rows) -> NDArray[np.float32]:
    """float32 [pages]: the MaxSim of ``query`` (float32 [n, dim], n >= 1) with each page.

    Raises `ValueError` where a page has no vector or the dimensions differ.
    """
    vectors, offsets, scales = pages
    if query.shape[1] != vectors.shape[1]:
        raise ValueError(f"The query has {query.shape[1]} dimensions, the pages have {vectors.shape[1]}.")
    if (np.diff(offsets) < 1).any():
        raise ValueError("A page without vectors has no MaxSim.")
    scores = np.empty(len(offsets) - 1, np.float32)
    longest = int(np.diff(offsets).max(initial=0))
    buffer = np.empty((max(BLOCK, longest), vectors.shape[1]), np.float32)
    columns = np.ascontiguousarray(query.T, np.float32)  # [dim, n]
    for first, last in blocks(offsets, len(buffer)):
        start, stop = offsets[first], offsets[last]
        block = buffer[: stop - start]
        np.copyto(block, vectors[start:stop], casting="same_kind")
        products = block @ columns  # [stop - start, n]
        if scales is not None:
            products *= scales[start:stop, None]
        best = np.maximum.reduceat(products, offsets[first:last] - start, axis=0)  # [last - first, n]
        scores[first:last] = best.sum(axis=1)
    return scores


def blocks(offsets: NDArray[np.int64], size: int) -> Iterator[tuple[int, int]]:
    """Runs of whole pages (first, last exclusive) of at most ``size`` vectors together; no page has more."""
    first, pages = 0, len(offsets) - 1
    while first < pages:
        last = int(np.searchsorted(offsets, offsets[first] + size, side="right")) - 1
        yield first, last
        first = last


def rows(pages: Sequence[NDArray[Any]]) -> Rows:
    """Pages [n_i, dim] of one dtype, one after the other."""
    lengths = [len(page) for page in pages]
    return Rows(np.concatenate(pages), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def unpadded(batch: NDArray[Any], mask: NDArray[np.bool_]) -> Rows:
    """A padded batch [pages, length, dim] without its padding; ``mask`` [pages, length]: true where a vector is one."""
    offsets = np.concatenate([[0], np.cumsum(mask.sum(axis=1))]).astype(np.int64)
    return Rows(batch[mask], offsets)


def quantized(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """int8 [n, dim] and scales float16 [n]: a vector is its int8 values times its scale, off by half a scale at most.

    For vectors [n, dim] of about unit length: a larger or smaller one than float16 can scale is not what this is for.
    """
    scales = (np.abs(vectors).max(axis=1) / 127).astype(np.float16)
    steps = np.where(scales == 0, 1, scales).astype(np.float32)
    return np.rint(vectors / steps[:, None]).clip(-127, 127).astype(np.int8), scales


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """float32, rows scaled to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths), np.float32)
