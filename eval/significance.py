"""Is a difference between two runs more than luck? Paired, and by document: its questions are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
SEED = 20_260_101
MIN_DOCUMENTS = 10
"""With fewer the questions are taken as independent, which is said: of 5 documents no p under .06 can come."""


class Significance(NamedTuple):
    """``difference``: mean over questions; ``low`` to ``high``: its 95 % interval; ``p``: that chance alone differs as
    much, two-sided; ``unit``: what was taken as independent.
    """

    difference: float
    low: float
    high: float
    p: float
    unit: Literal["documents", "questions"]


def paired(differences: Sequence[float], groups: Sequence[str]) -> Significance:
    """Of the per-question differences, the document of each in ``groups``; at least one.

    p is that of Fisher's randomisation test: the signs of whole documents are drawn. The interval is the bootstrap's
    percentiles, whole documents drawn with replacement (Efron and Tibshirani 1993; for retrieval Smucker, Allan and
    Carterette 2007). The draws are the same at each call.
    """
    unit: Literal["documents", "questions"] = "documents" if len(set(groups)) >= MIN_DOCUMENTS else "questions"
    names = list(groups) if unit == "documents" else [str(number) for number in range(len(groups))]
    order = {name: place for place, name in enumerate(dict.fromkeys(names))}
    place = np.array([order[name] for name in names])
    sums = np.bincount(place, weights=np.asarray(differences, float)).astype(np.float64)
    sizes = np.bincount(place).astype(np.float64)
    low, high = _interval(sums, sizes)
    return Significance(float(sums.sum() / sizes.sum()), low, high, _p(sums), unit)


def _p(sums: NDArray[np.float64]) -> float:
    """The share of sign flips, the real ones among them, whose sum is at least as far from 0."""
    signs = np.random.default_rng(SEED).choice((-1.0, 1.0), (DRAWS, len(sums)))
    as_far = np.abs(signs @ sums) >= abs(sums.sum()) - 1e-12
    return float((as_far.sum() + 1) / (DRAWS + 1))


def _interval(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> tuple[float, float]:
    drawn = np.random.default_rng(SEED).integers(0, len(sums), (DRAWS, len(sums)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), (2.5, 97.5))
    return float(low), float(high)
