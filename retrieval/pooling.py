"""Token pooling: a page's many vectors -> a few that stand for them.

Clavié, Chaffin and Adams 2024, "Reducing the Footprint of Multi-Vector Retrieval": similar vectors are put together by
Ward's hierarchical clustering on cosine distance and each cluster becomes its mean. Neighbouring patches of a page look
alike, so that a sixteenth of the vectors still finds nearly the same pages.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from retrieval.maxsim import unit

LIMIT = 64


def pooled(vectors: NDArray[np.float32], limit: int = LIMIT) -> NDArray[np.float32]:
    """float32 [min(n, limit), dim], rows of length 1, for vectors [n, dim]; up to ``limit`` of them are only scaled."""
    vectors = unit(vectors)
    if len(vectors) <= limit:
        return vectors
    clusters = ward(vectors, limit)
    sums = np.zeros((limit, vectors.shape[1]), np.float32)
    np.add.at(sums, clusters, vectors)
    return unit(sums)


def ward(vectors: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """int64 [n], the cluster 0 to ``count`` - 1 of each vector [n, dim], by Ward's method; n >= ``count``.

    Rather than the nearest pair alone, all pairs of clusters that are each other's nearest are joined at once. Ward's
    cost is reducible (Murtagh 1983): that gives the same tree in some thirty rounds, each one matrix product and a few
    passes over it. The tree is then cut where ``count`` clusters are left.
    """
    total = len(vectors)
    centres = vectors.copy()
    sizes, names = np.ones(total, np.float32), np.arange(total)
    costs: list[NDArray[np.float32]] = []
    joined: list[NDArray[np.int64]] = []  # [pairs, 2], by the names of two members
    while len(centres) > 1:
        cost = _costs(centres, sizes)
        cost += _ties(total)[: len(cost), : len(cost)]
        nearest = cost.argmin(axis=1)
        numbers = np.arange(len(centres))
        left = np.flatnonzero((nearest[nearest] == numbers) & (numbers < nearest))
        right = nearest[left]
        costs.append(cost[left, right])
        joined.append(np.stack([names[left], names[right]], axis=1))
        sums = sizes[left] + sizes[right]
        centres[left] = (centres[left] * sizes[left, None] + centres[right] * sizes[right, None]) / sums[:, None]
        sizes[left] = sums
        keep = np.ones(len(centres), bool)
        keep[right] = False
        centres, sizes, names = centres[keep], sizes[keep], names[keep]
    cheapest = np.argsort(np.concatenate(costs), kind="stable")[: total - count]
    return _labels(np.concatenate(joined)[cheapest], total)


def _costs(centres: NDArray[np.float32], sizes: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [n, n]: by how much joining two clusters raises the squared distances to their means; inf to itself."""
    squares = np.einsum("nd,nd->n", centres, centres)
    # Each step is symmetric to the last bit (so is numpy's product of a matrix with its own transpose): the cheapest
    # pair is then each other's nearest, and every round joins at least one.
    cost = centres @ centres.T
    cost *= -2
    cost += np.add.outer(squares, squares)
    cost /= np.add.outer(1 / sizes, 1 / sizes)
    np.fill_diagonal(cost, np.inf)
    return cost


@lru_cache(maxsize=2)
def _ties(count: int) -> NDArray[np.float32]:
    """float32 [count, count]: next to nothing, and different, so that of many equal clusters all find a partner.

    Were the first of them everyone's nearest, a round would join one pair. By i XOR j the nearest come in pairs.
    """
    numbers = np.arange(count)
    return (np.bitwise_xor.outer(numbers, numbers) * 1e-12).astype(np.float32)


def _labels(pairs: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """int64 [total]: the same number, from 0, for what the pairs connect."""
    parents = list(range(total))

    def root(member: int) -> int:
        while parents[member] != member:
            parents[member] = parents[parents[member]]
            member = parents[member]
        return member

    for one, other in pairs.tolist():
        parents[root(other)] = root(one)
    return np.unique([root(member) for member in range(total)], return_inverse=True)[1]
