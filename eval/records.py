"""A run as it is kept: one JSON file with what was measured, on what, with what, question by question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from eval import metrics
from eval.tables import html_table, show
from folioscope.errors import EvaluationError

Scope = Literal["whole", "inside"]
"""``whole``: the whole collection is searched; ``inside``: the document alone that the question names."""

SCOPES: tuple[Scope, ...] = ("whole", "inside")
TITLES = {"whole": "whole collection", "inside": "inside the document", "answer": "answers"}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ranked(_Record):
    """One search: ``hits`` (document, page), best first; ``scores`` by measure, for questions with pages; ``regions``:
    ``IoU`` and ``pointing`` on answering pages among the first k with true regions; ``ms`` by stage.
    """

    hits: tuple[tuple[str, int], ...]
    scores: dict[str, float] = {}
    regions: dict[str, float] = {}
    ms: dict[str, float] = {}


class Answered(_Record):
    """One answer: its ``citations`` (document, page, quote's status), what was measured of it, and its ``ms``."""

    status: str
    text: str
    confidence: float | None
    citations: tuple[tuple[str, int, str], ...]
    scores: dict[str, float | None]
    judged: str = ""
    ms: float


class Asked(_Record):
    """A question with what became of it. ``pages``: (document, page, grade). ``group``: see `datasets.Question`."""

    id: str
    text: str
    group: str
    labels: dict[str, str]
    unanswerable: bool
    pages: tuple[tuple[str, int, int], ...]
    whole: Ranked
    inside: Ranked | None = None
    answer: Answered | None = None

    @property
    def relevant(self) -> frozenset[tuple[str, int]]:
        """The pages that answer it."""
        return frozenset((document, page) for document, page, _ in self.pages)

    def ranked(self, scope: Scope) -> Ranked | None:
        """The search in that scope."""
        return self.whole if scope == "whole" else self.inside


class DatasetName(_Record):
    """Which questions were asked; see `datasets.Dataset.hash`."""

    name: str
    hash: str
    questions: int


class ChannelRecord(_Record):
    """A channel as it was: ``done`` of ``total`` pages, ``bytes`` on disk; ``encode_ms``: of one page, if measured."""

    name: str
    fingerprint: str
    done: int
    total: int
    bytes: int
    encode_ms: float | None = None


class CollectionRecord(_Record):
    """What was searched. ``hash``: of the documents' hashes and the channels' fingerprints."""

    name: str
    hash: str
    documents: int
    pages: int
    channels: tuple[ChannelRecord, ...]


class Run(_Record):
    """What `eval.run` gives back. ``code``: version and hash of the source; ``notes``: what a reader must know.

    ``k``: pages shown and read for an answer; ``depth``: pages listed for each question. ``model`` and ``judge``: who
    answered and who judged, empty where nobody did.
    """

    format: Literal[1] = 1
    name: str
    created: str
    code: str
    machine: dict[str, str]
    dataset: DatasetName
    collection: CollectionRecord
    settings: dict[str, Any]
    measures: tuple[str, ...]
    k: int
    depth: int
    model: str = ""
    judge: str = ""
    notes: tuple[str, ...] = ()
    questions: tuple[Asked, ...]

    # --- figures ----------------------------------------------------------------------------------------------------

    def retrieval(self, scope: Scope, where: Callable[[Asked], bool] = lambda _: True) -> dict[str, float | None]:
        """The mean of each measure, and of what is measured of regions, over the questions that have them."""
        found = [ranked for asked in self.questions if where(asked) and (ranked := asked.ranked(scope))]
        return metrics.means(ranked.scores for ranked in found) | metrics.means(ranked.regions for ranked in found)

    def answers(self) -> dict[str, float | None]:
        """The mean of what is measured of answers, and how well answerable and unanswerable questions are told apart:
        precision and recall of ``not_found``, AUROC of the confidence; empty where nobody answered.
        """
        answered = [(asked, asked.answer) for asked in self.questions if asked.answer]
        if not answered:
            return {}
        refusing = [0.0 if found.status == "not_found" else 1.0 for _, found in answered]
        none = [asked.unanswerable for asked, _ in answered]
        refused = metrics.not_found(refusing, none, 0.5)
        sure = self.confidences()
        told_apart = metrics.auroc([c for c, no in sure if not no], [c for c, no in sure if no])
        scores = metrics.means(found.scores for _, found in answered)
        precision, recall = refused["precision"], refused["recall"]
        return scores | {
            "not-found precision": precision,
            "not-found recall": recall,
            "answerable answered": refused["kept"],
            "AUROC": told_apart,
        }

    def confidences(self) -> list[tuple[float, bool]]:
        """(Confidence, whether the question is unanswerable) of each answer; without a confidence, 1 for an answer."""
        return [
            (
                asked.answer.confidence
                if asked.answer.confidence is not None
                else float(asked.answer.status != "not_found"),
                asked.unanswerable,
            )
            for asked in self.questions
            if asked.answer
        ]

    def milliseconds(self, scope: Scope = "whole") -> dict[str, tuple[float, float]]:
        """Stage -> (median, 95th percentile) of its time over the questions."""
        stages: dict[str, list[float]] = {}
        for asked in self.questions:
            if ranked := asked.ranked(scope):
                for stage, value in ranked.ms.items():
                    stages.setdefault(stage, []).append(value)
        return {stage: (float(np.median(values)), float(np.percentile(values, 95))) for stage, values in stages.items()}

    @property
    def bytes_per_page(self) -> float:
        """Of all channels' indexes together; 0 for none."""
        return sum(channel.bytes / channel.done for channel in self.collection.channels if channel.done)

    def recall_curve(self, scope: Scope = "whole") -> list[float]:
        """Share of the relevant pages among the first 1, 2 … ``depth``, mean over the questions that have some."""
        shares = []
        for asked in self.questions:
            ranked = asked.ranked(scope)
            if asked.pages and ranked:
                good = np.zeros(self.depth)
                for rank, hit in enumerate(ranked.hits):
                    good[rank] = hit in asked.relevant
                shares.append(np.cumsum(good) / len(asked.relevant))
        return [float(value) for value in np.mean(shares, axis=0)] if shares else []

    def by_label(self, scope: Scope, measure: str, label: str | None = None) -> dict[str, tuple[float | None, int]]:
        """Value of a label -> (mean of the measure, number of questions).

        Without a ``label``: the first that tells 2 to 12 groups of the questions with pages apart; none: empty.
        """
        asked = [question for question in self.questions if question.pages]
        for name in [label] if label else sorted({name for question in asked for name in question.labels}):
            values = sorted({question.labels.get(name, "") for question in asked})
            if label or 2 <= len(values) <= 12:
                parts = {value: [q for q in asked if q.labels.get(name, "") == value] for value in values}
                return {value: (_mean_of(part, scope, measure), len(part)) for value, part in parts.items()}
        return {}

    # --- keeping and showing ----------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write it as JSON, in one switch; returns the path."""
        path = Path(path)
        part = path.with_name(path.name + ".part")
        part.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return part.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Raises `EvaluationError` for what is no run."""
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except OSError as error:
            raise EvaluationError(f"{path} can't be read: {error.strerror}.", hint="Name a run's file.") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise EvaluationError(
                f"{path} is no run of this version: {place} {first['msg']}.", hint="`folioscope eval run` writes them."
            ) from None

    def table(self) -> tuple[list[str], list[list[object]]]:
        """Head and rows: what was measured, in both scopes; then answers."""
        columns = {scope: self.retrieval(scope) for scope in SCOPES}
        columns = {scope: found for scope, found in columns.items() if found}
        names = dict.fromkeys(name for found in columns.values() for name in found)
        rows: list[list[object]] = [[name, *(found.get(name) for found in columns.values())] for name in names]
        empty = [""] * (len(columns) - 1)
        rows += [[name, value, *empty] for name, value in self.answers().items()]
        return [self.name, *(TITLES[scope] for scope in columns)], rows

    def _repr_html_(self) -> str:
        head, rows = self.table()
        said = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return html_table(head, rows) + f"<p>{escape(self.cost())}</p>" + (f"<ul>{said}</ul>" if said else "")

    def cost(self) -> str:
        """Time and space in one sentence."""
        total = self.milliseconds().get("total")
        time = f"{total[0]:.1f} ms a search (95 %: {total[1]:.1f}), " if total else ""
        encode = [
            f"{channel.name} {channel.encode_ms:.0f} ms"
            for channel in self.collection.channels
            if channel.encode_ms is not None
        ]
        return f"{time}{self.bytes_per_page / 1024:.1f} KiB a page" + (
            f", encoding a page: {', '.join(encode)}" * bool(encode)
        )


def _mean_of(part: list[Asked], scope: Scope, measure: str) -> float | None:
    return metrics.mean(ranked.scores.get(measure) for asked in part if (ranked := asked.ranked(scope)))


def figures(scores: Mapping[str, float | None]) -> str:
    """Names and figures on one line."""
    return ", ".join(f"{name} {show(value)}" for name, value in scores.items())
