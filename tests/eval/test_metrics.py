"""Metrics against the libraries that define them, and against cases that can be counted by hand."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Mapping, Sequence

import pytest

from eval import metrics
from eval.quantities import quantities
from folioscope.domain import Box
from folioscope.errors import EvaluationError

pytest.importorskip("ir_measures", reason="needs the extra: pip install 'folioscope[eval]'")

Truth = dict[str, dict[tuple[str, int], int]]
Found = dict[str, list[tuple[str, int]]]

PYTREC = {
    "nDCG@5": "ndcg_cut_5",
    "nDCG@10": "ndcg_cut_10",
    "R@1": "recall_1",
    "R@3": "recall_3",
    "R@5": "recall_5",
    "R@10": "recall_10",
    "R@100": "recall_100",
    "Success@1": "success_1",
    "Success@5": "success_5",
    "RR": "recip_rank",
    "AP": "map",
}
RANX = {name: name.lower().replace("r@", "recall@") for name in ("nDCG@5", "nDCG@10", "R@1", "R@5", "R@100")} | {
    "RR": "mrr",
    "AP": "map",
    "Success@1": "hit_rate@1",
    "Success@5": "hit_rate@5",
}


def random_runs(seed: int) -> tuple[Truth, Found]:
    """60 questions over 400 pages with one to six relevant ones, graded; rankings of 0 to 150 pages."""
    rng = random.Random(seed)
    pages = [(f"d{n % 7}.pdf", n) for n in range(400)]
    truth = {f"q{n}": {page: rng.randint(1, 3) for page in rng.sample(pages, rng.randint(1, 6))} for n in range(60)}
    found = {}
    for question, relevant in truth.items():
        ranked = rng.sample(pages, rng.randint(0, 150))
        helped = [page for page in relevant if rng.random() < 0.7 and page not in ranked]
        for page in helped:
            ranked.insert(rng.randint(0, min(12, len(ranked))), page)
        found[question] = ranked
    return truth, found


def as_trec(truth: Truth, found: Found) -> tuple[Mapping[str, Mapping[str, int]], Mapping[str, Mapping[str, float]]]:
    qrels = {q: {f"{d}/{n}": grade for (d, n), grade in pages.items()} for q, pages in truth.items()}
    run = {q: {f"{d}/{n}": 1000.0 - rank for rank, (d, n) in enumerate(pages)} for q, pages in found.items() if pages}
    return qrels, run


@pytest.mark.parametrize("seed", range(5))
def test_rankings_are_scored_as_pytrec_eval_does(seed: int) -> None:
    import pytrec_eval

    truth, found = random_runs(seed)
    qrels, run = as_trec(truth, found)
    theirs = pytrec_eval.RelevanceEvaluator(qrels, set(PYTREC.values())).evaluate(run)
    ours = metrics.ranking(truth, found)
    for question in truth:
        for name, score in ours[question].items():
            expected = theirs.get(question, {}).get(PYTREC[name], 0.0)  # it leaves out who found nothing
            assert score == pytest.approx(expected, abs=1e-9), (question, name)


@pytest.mark.parametrize("seed", range(3))
def test_rankings_are_scored_as_ranx_does(seed: int) -> None:
    """Ranx pulls numba and is in no extra; it is compared with where somebody has installed it."""
    ranx = pytest.importorskip("ranx", reason="pip install ranx compares with it, too")
    truth, found = random_runs(seed)
    found = {q: pages for q, pages in found.items() if pages}
    truth = {q: truth[q] for q in found}
    qrels, run = as_trec(truth, found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba's
        theirs = ranx.Run(run)
        ranx.evaluate(ranx.Qrels(qrels), theirs, list(RANX.values()), threads=1)
    ours = metrics.ranking(truth, found)
    for question in truth:
        for name, score in RANX.items():
            assert ours[question][name] == pytest.approx(theirs.scores[score][question], abs=1e-9), (question, name)


def test_the_definitions_by_hand() -> None:
    truth = {"q": {"a": 2, "b": 1}, "silent": {"a": 1}, "unanswerable": dict[str, int]()}
    scores = metrics.ranking(truth, {"q": ["x", "b", "y", "a"], "unanswerable": ["a"]})
    ideal = 2 + 1 / math.log2(3)
    assert scores["q"]["nDCG@5"] == pytest.approx((1 / math.log2(3) + 2 / math.log2(5)) / ideal)
    assert scores["q"]["R@3"] == 0.5
    assert scores["q"]["RR"] == 0.5
    assert scores["q"]["AP"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert set(scores) == {"q", "silent"}
    assert set(scores["silent"].values()) == {0.0}


def test_unknown_measures_are_named() -> None:
    with pytest.raises(EvaluationError, match="no measure 'nCDG@5'"):
        metrics.ranking({"q": {"a": 1}}, {}, ["nCDG@5"])


def test_regions() -> None:
    left, half = Box(0, 0, 0.5, 1), Box(0.25, 0, 0.75, 1)
    assert metrics.iou([left], [half]) == pytest.approx(1 / 3, abs=0.01)
    assert metrics.iou([left, half], [Box(0, 0, 0.75, 1)]) == 1.0
    assert metrics.iou([], []) == 0.0
    assert metrics.overlap([left], [Box(0, 0, 1, 1)]) == pytest.approx((1.0, 0.5), abs=0.01)
    assert metrics.overlap([], [left]) is None
    assert metrics.pointing(half, [left]) == 1.0
    assert metrics.pointing(Box(0.6, 0, 0.9, 1), [left]) == 0.0
    assert metrics.pointing(None, [left]) == 0.0


def test_answers_in_words() -> None:
    assert metrics.exact_match("The Radiation-Shield.", ["radiation shield"]) == 1.0
    assert metrics.exact_match("a radiation shield and more", ["radiation shield"]) == 0.0
    assert metrics.token_f1("it is two years", ["two years", "three"]) == pytest.approx(2 * 2 / 6)
    assert metrics.token_f1("nothing", ["two years"]) == 0.0
    assert metrics.anls("Berlin scool", ["berlin school", "x"]) == pytest.approx(12 / 13)
    assert metrics.anls("quite another", ["berlin school"]) == 0.0
    assert metrics.holds("the figures are 1,577.0 and grey", ["1577 | grey"]) == 1.0
    assert metrics.holds("only grey", ["1577 | grey"]) == 0.0


@pytest.mark.parametrize(
    ("said", "right", "match"),
    [
        ("It was $1,577 million.", "$1577.00", 1.0),
        ("It was €1,577 million.", "$1577.00", 0.0),
        ("1.577 billion dollars", "$1,577 million", 1.0),
        ("18.29 percent", "18%", 1.0),
        ("18 %", "18.29%", 0.0),
        ("a loss of (305)", "-305", 1.0),
        ("from 2015-2016", "2016", 1.0),
        ("in FY2018", "2018", 0.0),
        ("5 and 7", "7 | 5", 1.0),
        ("only 5", "7 | 5", 0.0),
        ("3 km", "3 miles", 0.0),
        ("grey", "red", None),
    ],
)
def test_quantities_match_with_their_units(said: str, right: str, match: float | None) -> None:
    assert metrics.numeric_match(said, [right]) == match


def test_what_is_read_as_a_quantity() -> None:
    read = {text: [(q.number, q.scale, q.unit) for q in quantities(text)] for text in ("5%-6%", "A4", "$-3", "1.5M")}
    assert read == {
        "5%-6%": [(5.0, 1.0, "%"), (6.0, 1.0, "%")],
        "A4": [],
        "$-3": [(-3.0, 1.0, "$")],
        "1.5M": [(1.5, 1e6, "")],
    }


def test_auroc_is_the_share_of_pairs_in_order() -> None:
    rng = random.Random(1)
    positive, negative = [rng.randint(0, 9) for _ in range(30)], [rng.randint(0, 7) for _ in range(20)]
    pairs: Sequence[float] = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positive for n in negative]
    assert metrics.auroc(positive, negative) == pytest.approx(sum(pairs) / 600)
    assert metrics.auroc([], [1.0]) is None


def test_not_found_at_a_threshold() -> None:
    scores = metrics.not_found([0.1, 0.2, 0.3, 0.9], [True, False, True, False], 0.25)
    assert scores == {"precision": 0.5, "recall": 0.5, "kept": 0.5}
    assert metrics.not_found([0.9], [False], 0.5) == {"precision": None, "recall": None, "kept": 1.0}


def test_means_leave_out_what_is_not_there() -> None:
    assert metrics.means([{"a": 1.0, "b": None}, {"a": 0.0}]) == {"a": 0.5, "b": None}
