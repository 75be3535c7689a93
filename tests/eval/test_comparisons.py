"""Two runs compared: the tests against scipy's, by document; flips; what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import eval as evaluation
from eval import Dataset, Run, compare
from eval.significance import paired
from folioscope.errors import EvaluationError
from ingest import Library

pytest.importorskip("ir_measures", reason="needs the extra: pip install 'folioscope[eval]'")


def some_differences(count: int, shift: float) -> list[float]:
    return [float(value) for value in np.random.default_rng(3).normal(shift, 0.3, count)]


@pytest.mark.parametrize("shift", [0.0, 0.08, -0.2])
def test_against_scipy_where_each_question_has_its_document(shift: float) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with several extras")
    values = some_differences(60, shift)
    found = paired(values, [f"d{number}" for number in range(60)])
    flipped = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=20_000, random_state=np.random.default_rng(1)
    )
    drawn = stats.bootstrap((values,), np.mean, method="percentile", random_state=np.random.default_rng(1))
    assert found.unit == "documents"
    assert found.difference == pytest.approx(np.mean(values))
    assert found.p == pytest.approx(flipped.pvalue, abs=0.015)
    assert (found.low, found.high) == pytest.approx(tuple(drawn.confidence_interval), abs=0.01)


def test_questions_about_one_document_count_as_one() -> None:
    values = [value for value in some_differences(20, 0.1) for _ in range(10)]  # ten like questions a document
    alone = paired(values, [str(number) for number in range(200)])
    together = paired(values, [f"d{number // 10}" for number in range(200)])
    assert together.difference == pytest.approx(alone.difference)
    assert together.p > alone.p
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert paired(values[:40], ["only"] * 40).unit == "questions"


def test_no_difference_is_no_evidence() -> None:
    found = paired([0.0] * 30, [str(number) for number in range(30)])
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


@pytest.fixture(scope="module")
def one(dataset: Dataset, library: Library) -> Run:
    return evaluation.run(dataset, library, name="one")


def test_flips_and_differences(one: Run) -> None:
    first, *others = one.questions
    lost = first.whole.model_copy(
        update={"hits": (("ferry.pdf", 1),) * 5 + first.whole.hits, "scores": dict.fromkeys(first.whole.scores, 0.0)}
    )
    other = one.model_copy(update={"name": "other", "questions": (first.model_copy(update={"whole": lost}), *others)})
    found = compare(one, other)
    (flip,) = found.flips
    assert (flip.after.id, flip.won, flip.rank_before, flip.rank_after) == ("warranty", False, 1, 6)
    (difference,) = [row for row in found.differences if (row.scope, row.measure) == ("whole", "nDCG@5")]
    assert (difference.before, difference.after, difference.questions) == (1.0, 0.75, 4)
    assert difference.sure.unit == "questions"  # three documents are too few
    assert "lost, whole collection" in found.markdown()
    assert "terms.pdf" in found._repr_html_()
    assert [flip.won for flip in compare(other, one).flips] == [True]


def test_what_changed_besides_is_said(one: Run) -> None:
    settings = {**one.settings, "fusion": "rrf"}
    found = compare(one, one.model_copy(update={"settings": settings, "code": "0.9+abc"}))
    assert f"The code differs: {one.code}, 0.9+abc." in found.notes
    assert "fusion: normalized -> rrf" in found.notes
    assert found.flips == ()


def test_runs_of_other_questions_are_refused(one: Run, dataset: Dataset, library: Library) -> None:
    other = evaluation.run(dataset.of(["manual.pdf"]), library, name="other")
    with pytest.raises(EvaluationError, match=r"other asked small .*can't be compared"):
        compare(one, other)
