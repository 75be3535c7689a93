"""What is measured: rankings, regions, citations, answers, the courage to say that there is none.

Rankings are scored by ir_measures over pytrec_eval, by the names that these use: ``nDCG@5``, ``R@5``, ``RR``, ``AP``,
``Success@5``. The others have no home in such libraries; each says where it comes from.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from eval.quantities import quantities, same
from folioscope.domain import Box
from folioscope.errors import EvaluationError
from generation.citations import fold, numbers

MEASURES = ("nDCG@5", "nDCG@10", "R@1", "R@3", "R@5", "R@10", "R@100", "Success@1", "Success@5", "RR", "AP")
"""The measures of rankings that a run has unless told otherwise. nDCG takes a page's grade as its gain."""

GRID = 256
"""Areas of boxes are counted on a grid of so many cells a side."""

P = TypeVar("P")


# --- rankings -------------------------------------------------------------------------------------------------------


def ranking(
    truth: Mapping[str, Mapping[P, int]], found: Mapping[str, Sequence[P]], measures: Sequence[str] = MEASURES
) -> dict[str, dict[str, float]]:
    """Question -> measure -> score, for each question that has pages in ``truth`` (page -> grade >= 1).

    ``found``: question -> pages, best first, none twice; a question that is missing has found nothing. Raises
    `EvaluationError` for a measure that is not known and where ir_measures is not installed.
    """
    measured = _measures(measures)
    from ir_measures import Qrel, ScoredDoc, iter_calc

    names = {page: str(number) for number, page in enumerate({p for pages in truth.values() for p in pages})}
    wanted = [Qrel(q, names[page], grade) for q, pages in truth.items() for page, grade in pages.items()]
    ranked = [
        ScoredDoc(q, names.get(page, f"other {rank}"), -float(rank))
        for q, pages in found.items()
        if truth.get(q)
        for rank, page in enumerate(pages)
    ]
    scores: dict[str, dict[str, float]] = {q: {} for q, pages in truth.items() if pages}
    for metric in iter_calc(list(measured), wanted, ranked):
        scores[metric.query_id][measured[metric.measure]] = metric.value
    return {q: {name: row[name] for name in measures} for q, row in scores.items()}


def _measures(names: Sequence[str]) -> dict[Any, str]:
    try:
        from ir_measures import parse_measure
    except ImportError:
        raise EvaluationError(
            "Evaluation needs ir_measures, which is not installed.", hint="Install it: pip install 'folioscope[eval]'."
        ) from None
    measures = {}
    for name in names:
        try:
            measures[parse_measure(name)] = name
        except (NameError, ValueError, SyntaxError):
            raise EvaluationError(
                f"There is no measure {name!r}.", hint=f"There are {', '.join(MEASURES)} and others of ir_measures."
            ) from None
    return measures


# --- regions --------------------------------------------------------------------------------------------------------


def covered(boxes: Iterable[Box]) -> NDArray[np.bool_]:
    """Booleans [GRID, GRID], rows from the top: which cells of the page lie in one of the boxes, by their centres."""
    centres = (np.arange(GRID) + 0.5) / GRID
    cells = np.zeros((GRID, GRID), bool)
    for x0, y0, x1, y1 in boxes:
        cells |= np.outer((centres >= y0) & (centres < y1), (centres >= x0) & (centres < x1))
    return cells


def iou(found: Iterable[Box], true: Iterable[Box]) -> float:
    """Intersection over union of two sets of boxes on one page, 0-1; 0 where both are empty."""
    a, b = covered(found), covered(true)
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 0.0


def pointing(best: Box | None, true: Iterable[Box]) -> float:
    """1 where the centre of the best box lies in a true one, else 0: the pointing game of Zhang et al. 2016."""
    if best is None:
        return 0.0
    x, y = (best.x0 + best.x1) / 2, (best.y0 + best.y1) / 2
    return float(any(box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1 for box in true))


def overlap(found: Iterable[Box], true: Iterable[Box]) -> tuple[float, float] | None:
    """(Share of the found area that is true, share of the true area that was found); None where either is empty."""
    a, b = covered(found), covered(true)
    if not a.any() or not b.any():
        return None
    both = (a & b).sum()
    return float(both / a.sum()), float(both / b.sum())


# --- answers --------------------------------------------------------------------------------------------------------


def normal(text: str) -> str:
    """Lower case, without punctuation and articles, single spaces: as SQuAD compares (Rajpurkar et al. 2016)."""
    text = "".join(" " if letter in string.punctuation else letter for letter in text.lower())
    return " ".join(word for word in text.split() if word not in ("a", "an", "the"))


def exact_match(said: str, answers: Sequence[str]) -> float:
    """1 where one of the right answers is said and nothing else."""
    return float(any(normal(said) == normal(answer) for answer in answers))


def token_f1(said: str, answers: Sequence[str]) -> float:
    """Harmonic mean of precision and recall of words, the best over the right answers: as SQuAD compares."""
    return max((_f1(normal(said).split(), normal(answer).split()) for answer in answers), default=0.0)


def _f1(said: Sequence[str], right: Sequence[str]) -> float:
    common = sum((Counter(said) & Counter(right)).values())
    return 2 * common / (len(said) + len(right)) if common else 0.0


def anls(said: str, answers: Sequence[str]) -> float:
    """Normalised Levenshtein similarity, 0 under one half, the best over the right answers: Biten et al. 2019."""
    said = said.lower().strip()
    best = max((Levenshtein.normalized_similarity(said, right.lower().strip()) for right in answers), default=0.0)
    return best if best >= 0.5 else 0.0


def numeric_match(said: str, answers: Sequence[str]) -> float | None:
    """Whether all quantities of a right answer are said, with their units; None where none of them has a number."""
    wanted = [found for answer in answers if (found := quantities(answer))]
    if not wanted:
        return None
    there = quantities(said)
    return float(any(all(any(same(one, other) for other in there) for one in parts) for parts in wanted))


_NUMERIC = re.compile(r"[\s$€£%()\d.,-]+(?:%|million|billion)?")


def holds(text: str, answers: Sequence[str]) -> float:
    """1 where the text has every part of a right answer: of numbers their values, else letters and digits in order."""
    return float(any(all(_has(text, part) for part in answer.split(" | ")) and fold(answer) for answer in answers))


def _has(text: str, part: str) -> bool:
    if _NUMERIC.fullmatch(part) and numbers(part):
        return numbers(part) <= numbers(text)
    return fold(part) in fold(text)


# --- saying that there is no answer -----------------------------------------------------------------------------------


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """The chance that a positive scores above a negative, ties counted half (Hanley and McNeil 1982); None without
    both.
    """
    if not positive or not negative:
        return None
    a, b = np.array(positive)[:, None], np.array(negative)[None, :]
    return float(((a > b) + 0.5 * (a == b)).mean())


def not_found(confidences: Sequence[float], unanswerable: Sequence[bool], threshold: float) -> dict[str, float | None]:
    """``precision`` and ``recall`` of refusing what has a confidence under ``threshold``, and ``kept``, the share of
    answerable questions that is answered.
    """
    refused = np.array(confidences) < threshold
    none = np.array(unanswerable, bool)
    right = int((refused & none).sum())
    return {
        "precision": _share(right, int(refused.sum())),
        "recall": _share(right, int(none.sum())),
        "kept": _share(int((~refused & ~none).sum()), int((~none).sum())),
    }


def _share(part: int, of: int) -> float | None:
    return part / of if of else None


# --- means ----------------------------------------------------------------------------------------------------------


def mean(values: Iterable[float | None]) -> float | None:
    """Of those that are there; None where none is."""
    there = [value for value in values if value is not None]
    return math.fsum(there) / len(there) if there else None


def means(rows: Iterable[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The mean of each name over the rows that have it."""
    columns: dict[str, list[float | None]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: mean(values) for name, values in columns.items()}
