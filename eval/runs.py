"""Asking a dataset's questions of a collection and measuring what comes back."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import folioscope
from eval import answering, metrics
from eval.datasets import Dataset, PageName, Question, TrueRegion
from eval.records import Asked, ChannelRecord, CollectionRecord, DatasetName, Ranked, Run, Scope
from folioscope.domain import Document, DocumentRef, PageInput, PageKey, Region, SearchResult, Where, Words
from folioscope.errors import EvaluationError
from folioscope.ports import AnswerModel, VisionModel
from folioscope.settings import Settings
from generation import answer
from retrieval import Retriever

if TYPE_CHECKING:
    from ingest import Library

DEPTH = 100
"""Pages listed for each question."""

RECORDED = frozenset(
    {
        "channels",
        "semantic_model",
        "visual_model",
        "image_model",
        "vectors",
        "vector_type",
        "fusion",
        "channel_weights",
        "candidates",
        "top_k",
        "ocr",
        "ocr_languages",
        "max_pages",
        "max_pixels",
        "model",
        "extractive_threshold",
        "page_words",
    }
)
"""Settings that can move a figure; the others name places and keys."""

Progress = Callable[[int, int], None]


def run(
    dataset: Dataset,
    library: Library,
    *,
    collection: str | None = None,
    retriever: Retriever | None = None,
    channels: Sequence[str] | None = None,
    model: AnswerModel | None = None,
    judge: VisionModel | None = None,
    answer_scope: Scope = "whole",
    similarity: bool = False,
    k: int | None = None,
    measures: Sequence[str] = metrics.MEASURES,
    encode_pages: int = 0,
    name: str = "",
    progress: Progress | None = None,
) -> Run:
    """Ask each question over the whole collection and, where it names a document, inside that one alone.

    ``retriever``: what is measured, where not the library's own; ``channels``: only these. ``model``: answers each
    question from the ``k`` (else the setting ``top_k``) best pages of ``answer_scope``; ``judge``: judges the answers.
    ``similarity``: regions of similarity count beside those of words. ``encode_pages``: so many are encoded again, to
    time it; they are not written. ``progress`` is told the questions done and their number.

    Documents of one name count as one. A question about what is not in the collection is asked like any other, and
    finds nothing; `Run.notes` lists them. Raises `EvaluationError`: no document that the questions name is there.
    """
    documents = [document for document in library.documents(collection) if document.status == "ready"]
    names = Names(documents)
    known = [names.known(question) for question in dataset]
    absent = sorted(name for name in dataset.documents if not names.ids(name))
    if len(absent) == len(dataset.documents) and dataset.documents:
        raise EvaluationError(
            f"The collection has none of the {len(absent)} documents that {dataset.name} asks about: {_some(absent)}.",
            hint="Ingest them first, or name another collection.",
        )
    searcher = _Only(retriever or library.retriever(collection), channels)
    asking = _Asking(searcher, names, k or library.settings.top_k, similarity)
    asking.warm_up(known[0])
    rows = []
    for number, question in enumerate(known):
        if progress:
            progress(number, len(known))
        asked = asking.ask(question)
        if model is not None:
            where = names.where(question) if answer_scope == "inside" else None
            found = answer(question.text, asking.retriever, model, k=asking.k, where=where, images=library)
            kept = answering.measured(question, found, names.of, judge)
            asked = asked.model_copy(update={"answer": kept})
        rows.append(asked)
    if progress:
        progress(len(known), len(known))
    used = library.channel_status(collection)
    costs = encode_cost(library, collection, encode_pages, channels) if encode_pages else {}
    return Run(
        name=name or dataset.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        code=code(),
        machine=machine(),
        dataset=DatasetName(name=dataset.name, hash=dataset.hash, questions=len(dataset)),
        collection=_collection(library, collection, documents, [row for row in used if _counts(row, channels)], costs),
        settings=_settings(library.settings) | ({"searched": list(channels)} if channels else {}),
        measures=tuple(measures),
        k=asking.k,
        depth=DEPTH,
        model=model.name if model else "",
        judge=f"{judge.name}, instruction {answering.JUDGE_VERSION}" if judge else "",
        notes=(*dataset.notes, *names.problems(dataset, absent), *asking.reservations),
        questions=tuple(scored(rows, measures)),
    )


class Names:
    """A collection's documents by what questions call them: file name, id, or a file name without its ending."""

    def __init__(self, documents: Sequence[Document]) -> None:
        short: dict[str, list[Document]] = {}
        full: dict[str, list[Document]] = {}
        for document in documents:
            short.setdefault(Path(document.filename).stem, []).append(document)
            full.setdefault(document.filename, []).append(document)
        self._named = short | full | {document.id: [document] for document in documents}
        self._twice = sorted(name for name, found in full.items() if len(found) > 1)

    def ids(self, name: str) -> frozenset[str]:
        """The documents of that name."""
        return frozenset(document.id for document in self._named.get(name, ()))

    def known(self, question: Question) -> Question:
        """The question with documents called by their file names."""
        return replace(
            question,
            document=question.document and self._name(question.document),
            pages={self._page(page): grade for page, grade in question.pages.items()},
            regions=tuple(TrueRegion(self._page(page), box) for page, box in question.regions),
        )

    def _name(self, name: str) -> str:
        found = self._named.get(name)
        return found[0].filename if found else name

    def _page(self, page: PageName) -> PageName:
        return PageName(self._name(page.document), page.page)

    def of(self, document: DocumentRef) -> str:
        """The name in `known` questions of a document that was found."""
        return document.filename

    def where(self, question: Question) -> Where | None:
        """Inside the document that the question names."""
        return Where(self.ids(question.document)) if question.document else None

    def problems(self, dataset: Dataset, absent: Sequence[str]) -> list[str]:
        """What does not fit together, in sentences."""
        said = []
        if absent:
            number = sum(bool(set(absent) & _mentioned(question)) for question in dataset)
            said.append(f"{number} questions speak of documents that are not in the collection: {_some(absent)}.")
        beyond = [f"{q.id} (page {p.page} of {p.document})" for q in dataset for p in q.pages if self._beyond(p)]
        if beyond:
            said.append(f"{len(beyond)} pages are beyond the end of their document: {_some(beyond)}.")
        unclear = {name: {document.filename for document in self._named.get(name, ())} for name in dataset.documents}
        if several := sorted(f"{name} as {self._name(name)}" for name, files in unclear.items() if len(files) > 1):
            said.append(f"These names fit several files and were taken for the first: {_some(several)}.")
        if self._twice:
            said.append(f"Several documents have the same name and count as one: {_some(self._twice)}.")
        return said

    def _beyond(self, page: PageName) -> bool:
        found = self._named.get(page.document)
        return bool(found) and page.page > max(document.pages for document in found or ())


class _Only:
    """A retriever of which some channels are asked alone: a `folioscope.ports.Searcher` to answer with."""

    def __init__(self, retriever: Retriever, channels: Sequence[str] | None) -> None:
        self._retriever = retriever
        self._channels = channels

    def search(self, query: str, k: int = 5, where: Where | None = None, **options: Any) -> SearchResult:
        return self._retriever.search(query, k, where, self._channels, **options)

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        return self._retriever.words(keys)

    def seen(self, key: PageKey, query: str) -> tuple[Region, ...]:
        return self._retriever.seen(key, query)


class _Asking:
    """Searches for one question after the other; ``reservations``: what the searches could not look at."""

    def __init__(self, retriever: _Only, names: Names, k: int, similarity: bool) -> None:
        self.retriever = retriever
        self.k = k
        self.reservations: dict[str, None] = {}
        self._names = names
        self._similarity = similarity
        self._search = retriever.search

    def warm_up(self, question: Question) -> None:
        """The first search loads weights; it is not timed."""
        self._search(question.text, 1, regions=False)

    def ask(self, question: Question) -> Asked:
        """Both scopes, nothing scored yet but regions."""
        where = self._names.where(question)
        return Asked(
            id=question.id,
            text=question.text,
            group=question.group,
            labels=dict(question.labels),
            unanswerable=question.unanswerable,
            pages=tuple((*page, grade) for page, grade in question.pages.items()),
            whole=self._ranked(question, None),
            inside=self._ranked(question, where) if where else None,
        )

    def _ranked(self, question: Question, where: Where | None) -> Ranked:
        if where is not None and not where.documents:
            return Ranked(hits=())  # the document is not there
        found = self._search(question.text, DEPTH, where, regions=False)
        self.reservations |= dict.fromkeys(found.reservations)
        hits = dict.fromkeys((self._names.of(hit.document), hit.page) for hit in found.hits)
        regions = self._regions(question, where) if question.regions else {}
        return Ranked(hits=tuple(hits), regions=regions, ms=dict(found.timings))

    def _regions(self, question: Question, where: Where | None) -> dict[str, float]:
        found = self._search(question.text, self.k, where, similarity=self._similarity)
        true = answering.true_boxes(question)
        scores = []
        for hit in found.hits:
            if boxes := true.get(PageName(self._names.of(hit.document), hit.page)):
                best = max(hit.regions, key=lambda region: region.score, default=None)
                pointed = metrics.pointing(best.box if best else None, boxes)
                scores.append({"IoU": metrics.iou([r.box for r in hit.regions], boxes), "pointing": pointed})
        return {name: value for name, value in metrics.means(scores).items() if value is not None}


def scored(rows: Sequence[Asked], measures: Sequence[str]) -> list[Asked]:
    """The rows with their rankings scored, all at once."""
    truth = {asked.id: {(d, p): grade for d, p, grade in asked.pages} for asked in rows if asked.pages}
    whole = metrics.ranking(truth, {asked.id: asked.whole.hits for asked in rows}, measures)
    within = {asked.id: asked.inside.hits for asked in rows if asked.inside}
    inside = metrics.ranking({q: pages for q, pages in truth.items() if q in within}, within, measures)
    return [
        asked.model_copy(
            update={
                "whole": asked.whole.model_copy(update={"scores": whole.get(asked.id, {})}),
                "inside": asked.inside and asked.inside.model_copy(update={"scores": inside.get(asked.id, {})}),
            }
        )
        for asked in rows
    ]


# --- what is recorded beside ----------------------------------------------------------------------------------------


def encode_cost(
    library: Library, collection: str | None, count: int, channels: Sequence[str] | None = None
) -> dict[str, float]:
    """Channel -> milliseconds for one of ``count`` pages spread over the collection, drawing it included; not written.

    ``channels``: only these. The first page is encoded once before, to load weights.
    """
    documents = library.documents(collection)
    keys = [PageKey(d.id, d.version, number) for d in documents for number in range(1, d.pages + 1)]
    keys = keys[:: max(1, len(keys) // count)][:count]
    words = library.retriever(collection).words(keys)
    titles = {document.id: document.filename for document in documents}
    pages = [
        PageInput(key, titles[key.document_id], words[key], partial(library.image, key)) for key in keys if key in words
    ]
    costs = {}
    for channel in library.channels.searchable(library.collection(collection).id).values():
        if channels is not None and channel.name not in channels:
            continue
        channel.encode(pages[:1])
        start = time.perf_counter()
        channel.encode(pages)
        costs[channel.name] = (time.perf_counter() - start) * 1000 / max(len(pages), 1)
    return costs


def code() -> str:
    """The version and the first 12 digits of the hash of the source files of all packages."""
    digest = hashlib.sha256()
    root = Path(folioscope.__file__).parents[1]
    for package in ("api", "eval", "folioscope", "generation", "ingest", "retrieval"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return f"{folioscope.__version__}+{digest.hexdigest()[:12]}"


def machine() -> dict[str, str]:
    """What times were measured on."""
    return {
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _collection(
    library: Library,
    collection: str | None,
    documents: Sequence[Document],
    channels: Sequence[Any],
    costs: Mapping[str, float],
) -> CollectionRecord:
    records = [
        ChannelRecord(
            name=status.entry.name,
            fingerprint=str(status.fingerprint or status.entry.encoder),
            done=status.coverage.done,
            total=status.coverage.total,
            bytes=status.bytes,
            encode_ms=costs.get(status.entry.name),
        )
        for status in channels
    ]
    digest = hashlib.sha256()
    for line in sorted(f"{document.sha256} {document.filename} {document.pages}" for document in documents):
        digest.update(line.encode())
    for record in records:
        digest.update(record.fingerprint.encode())
    return CollectionRecord(
        name=library.collection(collection).name,
        hash=digest.hexdigest(),
        documents=len(documents),
        pages=sum(document.pages for document in documents),
        channels=tuple(records),
    )


def _counts(status: Any, channels: Sequence[str] | None) -> bool:
    return status.entry.active and (channels is None or status.entry.name in channels)


def _settings(settings: Settings) -> dict[str, Any]:
    return {name: value for name, value in settings.model_dump(mode="json").items() if name in RECORDED}


def _mentioned(question: Question) -> set[str]:
    return {page.document for page in question.pages} | ({question.document} if question.document else set())


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
