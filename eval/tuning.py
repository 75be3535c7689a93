"""Settings chosen on the user's own questions: what was gained, and whether it holds on documents that did not choose.

Three kinds of settings. Fusion (how, weights, candidates): each channel is searched once, then all variants are fused
from its lists by the product's own `fuse`. The threshold of the extractive model: each question is answered once.
Anything that changes what is indexed (OCR's languages, models, the type of vectors): the collection is made anew in a
folder beside for each variant.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from eval import metrics
from eval.crossvalidation import FOLDS, Choice, choose
from eval.datasets import Dataset, PageName, Question
from eval.records import Run
from eval.runs import Names, run
from eval.significance import Significance
from eval.tables import html_table
from folioscope.domain import PageKey, ScoredPage, Where
from folioscope.errors import ConfigError, EvaluationError
from folioscope.settings import Settings, load_settings
from retrieval import fuse

if TYPE_CHECKING:
    from ingest import Library
    from retrieval import Retriever

MEASURE = "nDCG@5"
WEIGHTS = (1.0, 0.25, 0.5, 0.75, 1.5, 2.0, 4.0)
"""Of each channel after the first, whose weight is 1; with three channels or more every other one is left out."""

CANDIDATES = (200, 50, 100, 400)
LISTED = 10
"""Pages of a fused list that are scored."""

Rankings = Mapping[str, Sequence[ScoredPage]]
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Tuned:
    """What tuning came to. ``values``: by the names of settings, as they are in force and as they were chosen; ``kept``
    is empty where the gain does not hold, see `Choice.holds`.
    """

    what: str
    measure: str
    before: Values
    chosen: Values
    choice: Choice
    picks: tuple[Values, ...]

    @property
    def kept(self) -> Values:
        """The settings worth writing down: those that changed, where the gain holds."""
        if not self.choice.holds:
            return {}
        return {name: value for name, value in self.chosen.items() if value != self.before.get(name)}

    def lines(self) -> list[str]:
        """What was gained and how sure it is, in sentences."""
        choice = self.choice
        same = sum(pick == self.chosen for pick in self.picks)
        if choice.best == 0:
            return [f"{self.what}: nothing was better than {_said(self.before)} on {choice.tuned} questions."]
        verdict = "kept" if choice.holds else "not kept: on documents that did not choose it may as well be luck"
        return [
            f"{self.what}: {_said(self.chosen)} instead of {_said(self.before)}; {verdict}.",
            f"{self.measure} on documents that did not choose, {FOLDS} folds, {choice.tuned} questions: "
            f"{_gain(choice.folds)}.",
            f"On documents held back until the end, {choice.kept_back} questions: {_gain(choice.held)}.",
            f"{same} of {FOLDS} folds chose the same.",
        ]

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(line)}</p>" for line in self.lines())
        rows: list[list[object]] = [
            ["folds", *_cells(self.choice.folds)],
            ["held back", *_cells(self.choice.held)],
        ]
        return said + html_table(["", "gain", "95 %", "p"], rows)


# --- fusion ---------------------------------------------------------------------------------------------------------


def tune_fusion(dataset: Dataset, library: Library, *, collection: str | None = None, measure: str = MEASURE) -> Tuned:
    """Fusion, weights and candidates by the mean of ``measure`` over the whole collection and inside the document.

    Raises `EvaluationError`: fewer than two channels, too few documents, a ``measure`` beyond the first `LISTED` pages.
    """
    documents = [document for document in library.documents(collection) if document.status == "ready"]
    names = Names(documents)
    filenames = {document.id: document.filename for document in documents}
    asked = [question for known in dataset if (question := names.known(known)).pages]
    rows = [row for row in library.channel_status(collection) if row.entry.active and not row.problem]
    channels = [row.entry.name for row in rows]
    if partly := [row.entry.name for row in rows if row.coverage.share < 1]:
        raise EvaluationError(
            f"These channels have not taken in every page yet: {', '.join(partly)}.",
            hint="`folioscope channels backfill` finishes them; what is tuned on a part does not hold for the whole.",
        )
    if len(channels) < 2:
        raise EvaluationError(
            f"There is nothing to fuse: the collection has the channel {', '.join(channels)}.",
            hint="`folioscope channels add semantic` gives it another.",
        )
    retriever = library.retriever(collection)
    lists = [[_rankings(retriever, channels, q, where) for where in _scopes(names, q)] for q in asked]
    variants = _variants(channels, library.settings)
    scores = np.array([_scored(variant, lists, asked, filenames, measure) for variant in variants])
    return _tuned("fusion", measure, variants, choose(scores, [question.group for question in asked]))


def _scopes(names: Names, question: Question) -> list[Where | None]:
    inside = names.where(question)
    return [None, inside] if inside and inside.documents else [None]


def _rankings(retriever: Retriever, channels: Sequence[str], question: Question, where: Where | None) -> Rankings:
    """Channel -> its best pages, as many as any variant wants."""
    found = {}
    for channel in channels:
        hits = retriever.search(question.text, max(CANDIDATES), where, [channel], regions=False).hits
        found[channel] = [ScoredPage(hit.key, hit.scores[channel].score) for hit in hits]
    return found


def _variants(channels: Sequence[str], settings: Settings) -> list[Values]:
    """Every combination; the one in force first."""
    steps = WEIGHTS if len(channels) == 2 else WEIGHTS[::2]
    given = {name: weight for name, weight in settings.channel_weights.items() if name in channels}
    now = {"fusion": settings.fusion, "channel_weights": given, "candidates": settings.candidates}
    first, *others = channels
    variants = [
        {
            "fusion": fusion,
            "channel_weights": {first: 1.0} | dict(zip(others, weights, strict=True)) if set(weights) != {1.0} else {},
            "candidates": candidates,
        }
        for fusion in ("normalized", "rrf")
        for weights in itertools.product(steps, repeat=len(others))
        for candidates in CANDIDATES
    ]
    return [now, *(variant for variant in variants if variant != now)]


def _scored(
    variant: Values,
    lists: Sequence[Sequence[Rankings]],
    asked: Sequence[Question],
    filenames: Mapping[str, str],
    measure: str,
) -> NDArray[np.float64]:
    """float64 [questions]: the mean over a question's scopes."""
    truth: dict[str, Mapping[PageName, int]] = {}
    found: dict[str, list[PageName]] = {}
    for number, (question, scopes) in enumerate(zip(asked, lists, strict=True)):
        for scope, rankings in enumerate(scopes):
            pages = [PageName(filenames[key.document_id], key.number) for key in _fused(variant, rankings)]
            truth[f"{number} {scope}"] = question.pages
            found[f"{number} {scope}"] = list(dict.fromkeys(pages))[:LISTED]
    scores = metrics.ranking(truth, found, [measure])
    return np.array(
        [np.mean([scores[f"{n} {scope}"][measure] for scope in range(len(scopes))]) for n, scopes in enumerate(lists)]
    )


def _fused(variant: Values, rankings: Rankings) -> list[PageKey]:
    cut = {name: pages[: variant["candidates"]] for name, pages in rankings.items()}
    weights = {name: variant["channel_weights"].get(name, 1.0) for name in cut}
    method: Literal["normalized", "rrf"] = variant["fusion"]
    return [key for key, _ in fuse(cut, method=method, weights=weights, coverage={})]


# --- when to say that there is no answer ------------------------------------------------------------------------------


def tune_threshold(answered: Run, now: float) -> Tuned:
    """The confidence under which a question is refused, by balanced accuracy: the mean of the share of answerable
    questions answered and of unanswerable ones refused.

    ``answered``: a run with the extractive model. ``now``: the threshold in force. Raises `EvaluationError` where
    it has no questions of both kinds, or too few documents.
    """
    sure = answered.confidences()
    none = np.array([unanswerable for _, unanswerable in sure], bool)
    if not none.any() or none.all():
        raise EvaluationError(
            f"{answered.name} has no answers to both answerable and unanswerable questions.",
            hint="Questions that nothing answers have an empty list of pages.",
        )
    confidences = np.array([confidence for confidence, _ in sure])
    thresholds = [now, *(value for value in np.round(np.arange(0, 1, 0.025), 3).tolist() if value != now)]
    share = np.where(none, len(none) / (2 * none.sum()), len(none) / (2 * (~none).sum()))
    scores = np.array([((confidences < value) == none) * share for value in thresholds])
    variants = [{"extractive_threshold": value} for value in thresholds]
    groups = [asked.group for asked in answered.questions if asked.answer]
    return _tuned("threshold", "balanced accuracy", variants, choose(scores, groups))


# --- settings that change what is indexed -----------------------------------------------------------------------------


def tune_rebuilt(
    dataset: Dataset,
    library: Library,
    variants: Sequence[Values],
    folder: Path,
    *,
    collection: str | None = None,
    measure: str = MEASURE,
) -> Tuned:
    """Each of ``variants`` (values by the names of settings) against the collection as it is, which is left alone.

    For each the documents are taken in again, in a data folder under ``folder`` that is kept for a next time. Raises
    `EvaluationError`, `ConfigError` for an unknown setting or value.
    """
    names = {name for variant in variants for name in variant}
    settings = [_changed(library.settings, variant) for variant in variants]
    columns = [_mean_scores(run(dataset, library, collection=collection, measures=[measure]), measure)]
    for variant, changed in zip(variants, settings, strict=True):
        place = folder / "".join(letter if letter.isalnum() else "-" for letter in _said(variant))
        with rebuilt(library, changed, place, collection) as other:
            columns.append(_mean_scores(run(dataset, other, measures=[measure]), measure))
    now = {name: getattr(library.settings, name) for name in names}
    groups = [question.group for question in dataset if question.pages]
    return _tuned(", ".join(sorted(names)), measure, [now, *variants], choose(np.array(columns), groups))


def rebuilt(library: Library, settings: Settings, folder: Path, collection: str | None = None) -> Library:
    """The collection's documents taken in again with other settings, every channel filled; close it when done."""
    from ingest import Library as Opened
    from ingest.intake import Origin

    source = library.collection(collection)
    other = Opened(folder, settings=settings)
    try:
        target = other.create_collection(channels=[entry.name for entry in source.channels if entry.active])
        wanted = {document.sha256: document for document in library.catalog.documents(source)}
        there = {document.sha256: document for document in other.documents()}
        for sha256, document in there.items():
            if sha256 not in wanted:
                other.forget(document.id)  # of an earlier time
        for sha256, document in wanted.items():
            if sha256 not in there and document.status == "ready":
                with library.original(sha256) as path:
                    origin = Origin(document.filename, document.source)
                    other.submit(path, origin, collection=target, metadata=document.metadata)
        other.run_outstanding()
    except BaseException:
        other.close()
        raise
    return other


def _changed(settings: Settings, variant: Values) -> Settings:
    """Checked as if they came from the user."""
    given = {name: getattr(settings, name) for name in Settings.model_fields}
    return load_settings(given | dict(variant))


def _mean_scores(done: Run, measure: str) -> list[float]:
    """Of the questions with pages, in order: the mean over their scopes."""
    found = [[s.scores[measure] for s in (a.whole, a.inside) if s and s.scores] for a in done.questions if a.pages]
    return [sum(scores) / len(scores) for scores in found]


# --- writing down -----------------------------------------------------------------------------------------------------


def write_settings(path: Path, tuned: Sequence[Tuned]) -> Values:
    """Put the settings that are kept into a TOML file, its other lines untouched; returns them.

    Raises `ConfigError` where the file sets one of them already: a person's choice is not overwritten.
    """
    kept = {name: value for found in tuned for name, value in found.kept.items()}
    if taken := sorted(kept.keys() & written(path).keys()):
        raise ConfigError(
            f"{path} sets {', '.join(taken)} already; found were {_said(kept)}.", hint="Change or remove the line."
        )
    lines = "".join(f"{name} = {_toml(value)}\n" for name, value in kept.items())
    if lines:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(lines + text, encoding="utf-8")  # before any table
    return kept


def written(path: Path) -> Values:
    """What a settings file says; nothing where there is none. Raises `ConfigError` for a file that is no TOML."""
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # TOML's and Unicode's errors are values'
        raise ConfigError(f"{path} can't be read as TOML: {error}.", hint="Name another file for --out.") from None


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(part)}" for name, part in value.items()) + " }"
    return json.dumps(value)  # TOML writes text, numbers and booleans as JSON does


def _tuned(what: str, measure: str, variants: Sequence[Values], choice: Choice) -> Tuned:
    picks = tuple(variants[pick] for pick in choice.picks)
    return Tuned(what, measure, variants[0], variants[choice.best], choice, picks)


def _said(values: Values) -> str:
    parts = (
        f"{name}={','.join(f'{n}:{w}' for n, w in v.items()) or 'equal' if isinstance(v, Mapping) else v}"
        for name, v in values.items()
    )
    return " ".join(parts)


def _gain(found: Significance) -> str:
    return f"{found.difference:+.3f} (95 %: {found.low:+.3f} to {found.high:+.3f}, p {found.p:.3f})"


def _cells(found: Significance) -> list[str]:
    return [f"{found.difference:+.3f}", f"{found.low:+.3f} to {found.high:+.3f}", f"{found.p:.4f}"]
