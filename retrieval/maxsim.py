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
STRIP = 1 << 18  # multiplications in one product: OpenBLAS spreads larger ones over threads, which is slower here


class Rows(NamedTuple):
    """The vectors of pages, one page after the other.

    ``vectors``: float32, float16 or int8 [total, dim]. ``offsets``: int64 [pages + 1], rising from 0 to total; page i
    has the vectors ``offsets[i]`` to ``offsets[i + 1]``, at least one. ``scales``: [total], what each vector is to be
    multiplied by; None: by 1.
    """

    vectors: NDArray[Any]
    offsets: NDArray[np.int64]
    scales: NDArray[Any] | None = None


def max_sim(query: NDArray[np.float32], rows: Rows, pages: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """float32 [pages]: the MaxSim of ``query`` (float32 [n, dim], n >= 1) with each page, or with ``pages`` alone.

    Raises `ValueError` where a page has no vector or the dimensions differ.
    """
    if query.shape[1] != rows.vectors.shape[1]:
        raise ValueError(f"The query has {query.shape[1]} dimensions, the pages have {rows.vectors.shape[1]}.")
    lengths = np.diff(rows.offsets)
    if (lengths < 1).any():
        raise ValueError("A page without vectors has no MaxSim.")
    columns = np.ascontiguousarray(query.T, np.float32)  # [dim, n]
    strip = int(np.clip(STRIP // columns.size, 1, BLOCK))
    size = max(BLOCK, int(lengths.max(initial=0)))
    buffer = np.zeros((-(-size // strip), strip, len(columns)), np.float32)
    if pages is None:
        runs = [_run(columns, rows, first, last, buffer) for first, last in blocks(rows.offsets, size)]
    else:
        runs = [_run(columns, rows, page, page + 1, buffer) for page in pages.tolist()]
    return np.concatenate(runs) if runs else np.zeros(0, np.float32)


def _run(
    columns: NDArray[np.float32], rows: Rows, first: int, last: int, buffer: NDArray[np.float32]
) -> NDArray[np.float32]:
    """float32 [last - first]: the MaxSim of pages that together fit into the buffer [strips, strip, dim]."""
    vectors, offsets, scales = rows
    start, stop = offsets[first], offsets[last]
    _, strip, dim = buffer.shape
    np.copyto(buffer.reshape(-1, dim)[: stop - start], vectors[start:stop], casting="same_kind")
    strips = np.matmul(buffer[: -(-(stop - start) // strip)], columns)  # [strips, strip, n]
    products = strips.reshape(-1, columns.shape[1])[: stop - start]
    if scales is not None:
        products *= scales[start:stop, None].astype(np.float32)
    if last == first + 1:
        best = products.max(axis=0, keepdims=True)
    else:
        best = np.maximum.reduceat(products, offsets[first:last] - start, axis=0)  # [last - first, n]
    return np.asarray(best.sum(axis=1), np.float32)


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
