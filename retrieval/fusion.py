"""Several channels' rankings -> one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from folioscope.domain import PageKey, ScoredPage

RRF_K = 5
"""Reciprocal rank fusion's constant, by measurement (docs/experiments.md); 60 in the paper, which fuses more lists."""


def fuse(
    rankings: Mapping[str, Sequence[ScoredPage]],
    *,
    method: Literal["normalized", "rrf"],
    weights: Mapping[str, float],
    coverage: Mapping[str, float],
) -> list[tuple[PageKey, float]]:
    """Pages with their fused scores (0–1), best first; equal scores in the order of document, version and number.

    ``rankings``: one for each channel, best first. ``weights``: how much each channel counts, > 0. ``coverage``: the
    share (0–1) of the pages that each channel has taken in, 1 where it is not named.

    A page that a channel does not list gets nothing from it. While a channel has taken in only a share of the pages, it
    counts only for that share, and a page that it does not list may be one that it does not know: the page is credited,
    in the proportion of unknown pages, with what the channels that list it say. So nothing is pushed out by pages that
    merely were there earlier.

    ``normalized``: each channel's scores, as `min_max` has them, are a vector over all pages, and the vectors count as
    if all had length 1. So a channel that sets few pages apart from the rest of its list decides more than one to which
    two hundred pages are much the same (docs/experiments.md).
    """
    score = min_max if method == "normalized" else reciprocal_rank
    scores = {name: score(ranking) for name, ranking in rankings.items() if ranking}
    share = {name: max(coverage.get(name, 1.0), 0.01) for name in scores}  # it lists pages, so that it has some
    weight = {name: weights[name] * share[name] for name in scores}
    if method == "normalized":
        weight = {name: weight[name] / _length(scores[name]) for name in scores}
    total = sum(weight.values())

    def fused(page: PageKey) -> float:
        listing = [name for name in scores if page in scores[name]]
        known = sum(weight[name] * scores[name][page] for name in listing)
        credit = sum(weight[name] * (1 - share[name]) for name in scores if name not in listing)
        return known / total * (1 + credit / sum(weight[name] for name in listing)) if known else 0.0

    pages = {page for listed in scores.values() for page in listed}
    return sorted(((page, fused(page)) for page in pages), key=lambda item: (-item[1], item[0]))


def min_max(ranking: Sequence[ScoredPage]) -> dict[PageKey, float]:
    """Scores moved and stretched so that the list's best is 1 and its last 0; all 1 where they are equal."""
    low, high = ranking[-1].score, ranking[0].score
    if high <= low:
        return {page.key: 1.0 for page in ranking}
    return {page.key: (page.score - low) / (high - low) for page in ranking}


def _length(scores: Mapping[PageKey, float]) -> float:
    return math.sqrt(sum(score * score for score in scores.values()))  # at least 1: the best page's score is


def reciprocal_rank(ranking: Sequence[ScoredPage]) -> dict[PageKey, float]:
    """1 for the first, (k + 1) / (k + rank) for the others: Cormack, Clarke and Büttcher 2009, times k + 1."""
    return {page.key: (RRF_K + 1) / (RRF_K + rank) for rank, page in enumerate(ranking, 1)}
