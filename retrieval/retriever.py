"""Question -> channels -> fused pages, with regions and a snippet for the hits alone.

Knows channels and a `PageStore`; how vectors are made and stored, and what a document is beyond its current version, it
does not know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from folioscope.domain import (
    ChannelScore,
    DocumentRef,
    PageHit,
    PageKey,
    ScoredPage,
    SearchResult,
    Where,
    Words,
)
from folioscope.errors import ChannelUnavailable, QueryError
from folioscope.ports import Analyzer, PageStore
from retrieval.channel import Channel
from retrieval.encoders import analyzer as lexical_analyzer
from retrieval.fusion import fuse
from retrieval.regions import snippet, text_regions


class Retriever:
    """Implements `folioscope.ports.Searcher` over the channels of one collection; safe in any number of threads.

    ``channels``: by name; where they may change, what is called at each search for those that there are now.
    ``fusion`` and ``weights`` (> 0; 1 for a channel that is not named) are handed to `fuse`. ``candidates``: pages
    asked of each channel. ``notes``: for each channel that the collection wants and that can't be used, the reason.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel] | Callable[[], Mapping[str, Channel]],
        pages: PageStore,
        *,
        analyzer: Analyzer | None = None,
        fusion: Literal["normalized", "rrf"] = "normalized",
        weights: Mapping[str, float] | None = None,
        candidates: int = 200,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        self._channels = channels if callable(channels) else lambda: channels
        self._pages = pages
        self._analyzer = analyzer or lexical_analyzer()
        self._fusion = fusion
        self._weights = weights or {}
        self._candidates = candidates
        self._notes = notes or {}

    def search(
        self,
        query: str,
        k: int = 5,
        where: Where | None = None,
        channels: Sequence[str] | None = None,
        regions: bool = True,
    ) -> SearchResult:
        """The ``k`` best pages, best first, of documents that exist and in their current version.

        ``channels``: only these; a channel that can't be used is then an error, else it is left out and noted.
        ``regions``: whether hits get regions and a snippet. Timings: milliseconds for each channel, ``fuse``,
        ``regions``, ``total``. Raises `QueryError`, `ChannelUnavailable` when no channel is left.
        """
        _check(query, k)
        timings: dict[str, float] = {}
        with _timed(timings, "total"):
            documents: dict[str, DocumentRef | None] = {}
            rankings: dict[str, list[ScoredPage]] = {}
            usable = self._channels()  # held, so that one that is replaced meanwhile lasts until this search is over
            notes = {name: reason for name, reason in self._notes.items() if name not in usable}
            for name in self._chosen(usable, channels):
                with _timed(timings, name):
                    try:
                        rankings[name] = self._rank(usable[name], query, k, where, documents)
                    except ChannelUnavailable as error:
                        if channels is not None:
                            raise
                        notes[name] = str(error)
            if not rankings:
                raise ChannelUnavailable("No channel can search.", hint=" ".join(notes.values()))
            coverage = {name: share for name, share in self._pages.coverage().items() if name in rankings}
            with _timed(timings, "fuse"):
                fused = fuse(
                    rankings,
                    method=self._fusion,
                    weights={name: self._weights.get(name, 1.0) for name in rankings},
                    coverage={name: share.share for name, share in coverage.items()},
                )
                hits = _hits(fused[:k], rankings, documents)
            if regions:
                with _timed(timings, "regions"):
                    hits = self._illustrated(hits, query)
        left_out = [f"The {name} channel was left out: {reason}" for name, reason in notes.items()]
        return SearchResult(query, tuple(hits), timings, coverage, tuple(left_out) if channels is None else ())

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        """The words of pages that were found; a page that is gone is missing."""
        return self._pages.words(keys)

    def _chosen(self, usable: Mapping[str, Channel], channels: Sequence[str] | None) -> Iterable[str]:
        if channels is None:
            return usable
        for name in channels:
            if name in usable:
                continue
            if name in self._notes:
                raise ChannelUnavailable(f"The {name} channel can't be used.", hint=self._notes[name])
            known = ", ".join(usable) or "none"
            raise QueryError(f"There is no channel {name!r} in this collection.", hint=f"Its channels: {known}.")
        return dict.fromkeys(channels)

    def _rank(
        self,
        channel: Channel,
        query: str,
        k: int,
        where: Where | None,
        documents: dict[str, DocumentRef | None],
    ) -> list[ScoredPage]:
        """The channel's candidates that may be shown, at least ``k`` where it has so many; completes ``documents``."""
        limit = max(k, self._candidates)
        while True:
            found = channel.search(query, limit, where)
            if unknown := {page.key.document_id for page in found} - documents.keys():
                current = self._pages.current(unknown)
                documents |= {document: current.get(document) for document in unknown}
            shown = [page for page in found if _is_current(page.key, documents)]
            if len(shown) >= k or len(found) < limit:
                return shown
            limit *= 4

    def _illustrated(self, hits: Sequence[PageHit], query: str) -> list[PageHit]:
        words = self._pages.words([hit.key for hit in hits])
        return [self._illustrate(hit, words[hit.key], query) if hit.key in words else hit for hit in hits]

    def _illustrate(self, hit: PageHit, words: Words, query: str) -> PageHit:
        return replace(
            hit,
            snippet=snippet(words, query, self._analyzer),
            regions=text_regions(words, query, self._analyzer),
        )


def _check(query: str, k: int) -> None:
    if not query.strip():
        raise QueryError("The question is empty.", hint="Ask with at least one word.")
    if k < 1:
        raise QueryError(f"{k} pages were asked for.", hint="Ask for at least 1.")


def _is_current(key: PageKey, documents: Mapping[str, DocumentRef | None]) -> bool:
    document = documents[key.document_id]
    return document is not None and document.version == key.version


def _hits(
    fused: Sequence[tuple[PageKey, float]],
    rankings: Mapping[str, Sequence[ScoredPage]],
    documents: Mapping[str, DocumentRef | None],
) -> list[PageHit]:
    scores: dict[PageKey, dict[str, ChannelScore]] = {key: {} for key, _ in fused}
    for name, ranking in rankings.items():
        for rank, (key, score) in enumerate(ranking, 1):
            if key in scores:
                scores[key][name] = ChannelScore(rank, score)
    hits = []
    for rank, (key, score) in enumerate(fused, 1):
        document = documents[key.document_id]
        assert document is not None  # `_rank` kept pages of current documents alone
        hits.append(PageHit(rank, document, key.number, score, scores[key]))
    return hits


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = (time.perf_counter() - start) * 1000
