"""Choosing among variants without fooling oneself: by document, cross-validated, with a part that is held back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.significance import Significance, paired
from folioscope.errors import EvaluationError

FOLDS = 5
HELD_BACK = 0.25
SEED = 20_260_101


@dataclass(frozen=True, slots=True)
class Choice:
    """What `choose` gives back. Variants are named by their position; 0 is the one in force.

    ``best``: of all documents that were not held back. ``picks``: what each fold's other documents chose. ``folds``:
    the gain over variant 0 on documents that had no part in the choice, fold by fold. ``held``: the gain of ``best`` on
    the documents that were held back. ``tuned`` and ``kept_back``: how many questions each has.
    """

    best: int
    picks: tuple[int, ...]
    folds: Significance
    held: Significance
    tuned: int
    kept_back: int

    @property
    def holds(self) -> bool:
        """Whether the gain is there on documents that did not choose: the folds' interval lies above 0."""
        return self.best != 0 and self.folds.low > 0


def choose(scores: NDArray[np.float64], groups: Sequence[str]) -> Choice:
    """The best of ``scores`` [variants, questions], the document of each question in ``groups``.

    Equal variants: the first. Raises `EvaluationError` for fewer documents than folds and one to hold back.
    """
    documents = sorted(set(groups))
    if len(documents) <= FOLDS:
        raise EvaluationError(
            f"Tuning needs questions about more than {FOLDS} documents; these are about {len(documents)}.",
            hint="What a few documents prefer does not hold on others.",
        )
    shuffled = [documents[place] for place in np.random.default_rng(SEED).permutation(len(documents))]
    back = max(1, round(HELD_BACK * len(documents)))
    held = _where(groups, shuffled[:back])
    rest = shuffled[back:]
    gains: list[float] = []
    owners: list[str] = []
    picks = []
    for fold in range(FOLDS):
        out = _where(groups, rest[fold::FOLDS])
        pick = _best(scores[:, _where(groups, rest) & ~out])
        picks.append(pick)
        gains += (scores[pick, out] - scores[0, out]).tolist()
        owners += [group for group, there in zip(groups, out, strict=True) if there]
    tuned = _where(groups, rest)
    best = _best(scores[:, tuned])
    gained = (scores[best, held] - scores[0, held]).tolist()
    return Choice(
        best,
        tuple(picks),
        paired(gains, owners),
        paired(gained, [group for group, there in zip(groups, held, strict=True) if there]),
        int(tuned.sum()),
        int(held.sum()),
    )


def _best(scores: NDArray[np.float64]) -> int:
    means = scores.mean(axis=1)
    return int(np.flatnonzero(means >= means.max() - 1e-12)[0])


def _where(groups: Sequence[str], documents: Sequence[str]) -> NDArray[np.bool_]:
    """Booleans [questions]."""
    wanted = set(documents)
    return np.array([group in wanted for group in groups])
