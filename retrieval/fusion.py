"""Several channels' rankings -> one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from folioscope.domain import PageKey, ScoredPage

RRF_K = 10
"""Reciprocal rank fusion's constant (60 in the paper, whose lists are longer); see docs/experiments.md."""


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

    A page that a channel does not list gets nothing from it, unless the channel has not taken in all pages: the page
    may then be one that it does not know, and is credited, in that proportion, with what the channels that list it say.
    """
    score = min_max if method == "normalized" else reciprocal_rank
    scores = {name: score(ranking) for name, ranking in rankings.items() if ranking}
    unknown = {name: 1 - coverage.get(name, 1.0) for name in scores}

    def fused(page: PageKey) -> float:
        known = sum(weights[name] * scores[name][page] for name in scores if page in scores[name])
        by = sum(weights[name] for name in scores if page in scores[name])
        missing = sum(weights[name] * unknown[name] for name in scores if page not in scores[name])
        return known + missing * known / by

    total = sum(weights[name] for name in scores)
    pages = {page for listed in scores.values() for page in listed}
    return sorted(((page, fused(page) / total) for page in pages), key=lambda item: (-item[1], item[0]))


def min_max(ranking: Sequence[ScoredPage]) -> dict[PageKey, float]:
    """Scores moved and stretched so that the list's best is 1 and its last 0; all 1 where they are equal."""
    low, high = ranking[-1].score, ranking[0].score
    if high <= low:
        return {page.key: 1.0 for page in ranking}
    return {page.key: (page.score - low) / (high - low) for page in ranking}


def reciprocal_rank(ranking: Sequence[ScoredPage]) -> dict[PageKey, float]:
    """1 for the first, (k + 1) / (k + rank) for the others: Cormack, Clarke and Büttcher 2009, times k + 1."""
    return {page.key: (RRF_K + 1) / (RRF_K + rank) for rank, page in enumerate(ranking, 1)}
