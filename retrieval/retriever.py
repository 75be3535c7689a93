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

import numpy as np
from numpy.typing import NDArray

from folioscope import telemetry
from folioscope.domain import (
    ChannelScore,
    DocumentRef,
    Fingerprint,
    PageHit,
    PageKey,
    Region,
    ScoredPage,
    SearchResult,
    Vector,
    Where,
    Words,
)
from folioscope.errors import ChannelUnavailable, ConfigError, DocumentError, NotFoundError, QueryError
from folioscope.ports import Analyzer, PageImages, PageIndex, PageStore
from retrieval.channel import Channel
from retrieval.encoders import analyzer as lexical_analyzer
from retrieval.fusion import fuse
from retrieval.regions import snippet, text_regions
from retrieval.similarity import SimilarityMap, page_map, shows_where
from retrieval.similarity import regions as similarity_regions


class Retriever:
    """Implements `folioscope.ports.Searcher` over the channels of one collection; safe in any number of threads.

    ``channels``: by name; where they may change, what is called at each search for those that there are now.
    ``fusion`` and ``weights`` (> 0; 1 for a channel that is not named) are handed to `fuse`. ``candidates``: pages
    asked of each channel. ``notes``: for each channel that the collection wants and that can't be used, the reason.
    ``images``: draws the pages that similarity maps are made of.
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
        images: PageImages | None = None,
    ) -> None:
        self._channels = channels if callable(channels) else lambda: channels
        self._pages = pages
        self._analyzer = analyzer or lexical_analyzer()
        self._fusion = fusion
        self._weights = weights or {}
        self._candidates = candidates
        self._notes = notes or {}
        self._images = images

    def search(
        self,
        query: str = "",
        k: int = 5,
        where: Where | None = None,
        channels: Sequence[str] | None = None,
        regions: bool = True,
        *,
        image: NDArray[np.uint8] | None = None,
        similarity: bool = False,
    ) -> SearchResult:
        """The ``k`` best pages, best first, of documents that exist and in their current version.

        ``channels``: only these; a channel that can't be used is then an error, else it is left out and noted.
        ``regions``: whether hits get regions and a snippet. ``image``: uint8 [height, width, 3] RGB, upright: channels
        that can look for pages like it do so, the others go by ``query``, which may then be empty. ``similarity``:
        whether hits of the visual channel get regions of similarity, too; a page is drawn for each. Timings:
        milliseconds for each channel, ``fuse``, ``regions``, ``similarity``, ``total``. Raises `QueryError`,
        `ChannelUnavailable` when no channel is left.
        """
        _check(query, image, k)
        timings: dict[str, float] = {}
        with _timed(timings, "total"):
            documents: dict[str, DocumentRef | None] = {}
            rankings: dict[str, list[ScoredPage]] = {}
            among = self._among(where)
            usable = self._channels()  # held, so that one that is replaced meanwhile lasts until this search is over
            notes = {name: reason for name, reason in self._notes.items() if name not in usable}
            seeing = self._shows_where(usable, query) if similarity else None
            for name in self._asked(usable, channels, query, image, notes):
                with _timed(timings, name):
                    try:
                        question = usable[name].question(query, image)
                        rankings[name] = self._rank(usable[name].index, question, k, among, documents)
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
            if seeing is not None:
                with _timed(timings, "similarity"):
                    hits = [self._seen(hit, seeing, query) for hit in hits]
        telemetry.tell(telemetry.Searched(timings, tuple(rankings), len(hits)))
        left_out = [f"The {name} channel was left out: {reason}" for name, reason in notes.items()]
        return SearchResult(query, tuple(hits), timings, coverage, tuple(left_out) if channels is None else ())

    def _among(self, where: Where | None) -> frozenset[str] | None:
        """The documents that are meant, by their metadata as it is now; None: all."""
        if where is None or not where.metadata:
            return where.documents if where else None
        found = self._pages.tagged(where.metadata)
        return found if where.documents is None else found & where.documents

    def similarity_map(self, key: PageKey, query: str) -> SimilarityMap:
        """Where on this page the visual channel sees the question's words, whether the page was found or not.

        Raises `QueryError` where no channel can say so, or for an empty question; `NotFoundError` for a page that is
        not there.
        """
        return page_map(self._shows_where(self._channels(), query), key, query, self._drawing())

    def seeing(self, query: str) -> tuple[str, Fingerprint]:
        """The channel of which `similarity_map` of this question would be, and its fingerprint. Raises as that."""
        channel = self._shows_where(self._channels(), query)
        return channel.name, channel.encoder.fingerprint

    def seen(self, key: PageKey, query: str) -> tuple[Region, ...]:
        """The regions of `similarity_map`, best first; none where it can't be made."""
        try:
            return similarity_regions(self.similarity_map(key, query))
        except (ChannelUnavailable, ConfigError, NotFoundError, QueryError):
            return ()

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

    def _asked(
        self,
        usable: Mapping[str, Channel],
        channels: Sequence[str] | None,
        query: str,
        image: NDArray[np.uint8] | None,
        notes: dict[str, str],
    ) -> Sequence[str]:
        """The channels to search; completes ``notes`` where an image alone leaves some out."""
        chosen = list(self._chosen(usable, channels))
        if image is None:
            return chosen
        seeing = [name for name in chosen if usable[name].takes_images]
        if not seeing:
            raise QueryError(
                f"None of these channels can be asked with an image: {', '.join(chosen) or 'none'}.",
                hint=f"`folioscope channels add image` gives a collection one. {' '.join(notes.values())}".strip(),
            )
        if query.strip():
            return chosen
        blind = [name for name in chosen if name not in seeing]
        if blind and channels is not None:
            raise QueryError(f"The {blind[0]} channel needs words.", hint="Ask with words beside the image.")
        notes |= dict.fromkeys(blind, "it needs words, and an image alone was given.")
        return seeing

    def _rank(
        self,
        index: PageIndex,
        question: Vector | None,
        k: int,
        among: frozenset[str] | None,
        documents: dict[str, DocumentRef | None],
    ) -> list[ScoredPage]:
        """The index's candidates that may be shown, at least ``k`` where it has so many; completes ``documents``."""
        limit = max(k, self._candidates)
        while question is not None:
            found = index.search(question, limit, among)
            if unknown := {page.key.document_id for page in found} - documents.keys():
                current = self._pages.current(unknown)
                documents |= {document: current.get(document) for document in unknown}
            shown = [page for page in found if _is_current(page.key, documents)]
            if len(shown) >= k or len(found) < limit:
                return shown
            limit *= 4
        return []  # the question says nothing to this channel

    def _shows_where(self, usable: Mapping[str, Channel], query: str) -> Channel:
        if not query.strip():
            raise QueryError("Only words can be shown on a page.", hint="Ask with at least one word.")
        for channel in usable.values():
            if shows_where(channel):
                return channel
        raise QueryError(
            f"None of these channels can say where it saw a word: {', '.join(usable) or 'none'}.",
            hint=f"`folioscope channels add visual` gives a collection one. {self._notes.get('visual', '')}".strip(),
        )

    def _drawing(self) -> PageImages:
        if self._images is None:
            raise ConfigError("Similarity maps need page images.", hint="Give the retriever images.")
        return self._images

    def _seen(self, hit: PageHit, channel: Channel, query: str) -> PageHit:
        if channel.name not in hit.scores:
            return hit
        try:
            found = page_map(channel, hit.key, query, self._drawing())
        except (NotFoundError, DocumentError):
            return hit  # deleted meanwhile, or it can't be drawn any more
        return replace(hit, regions=(*hit.regions, *similarity_regions(found)))

    def _illustrated(self, hits: Sequence[PageHit], query: str) -> list[PageHit]:
        words = self._pages.words([hit.key for hit in hits])
        return [self._illustrate(hit, words[hit.key], query) if hit.key in words else hit for hit in hits]

    def _illustrate(self, hit: PageHit, words: Words, query: str) -> PageHit:
        found = self._analyzer.matches(query, words.texts)
        return replace(hit, snippet=snippet(words, found), regions=text_regions(words, found))


def _check(query: str, image: NDArray[np.uint8] | None, k: int) -> None:
    if image is None and not query.strip():
        raise QueryError("The question is empty.", hint="Ask with at least one word.")
    if image is not None and (image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size):
        raise QueryError(
            f"A query image is uint8 [height, width, 3], this is {image.dtype} {list(image.shape)}.",
            hint="`Library.read_image` makes one of a file.",
        )
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
