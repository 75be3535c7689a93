"""Choosing settings: what luck chooses is not kept, what holds on other documents is."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import eval as evaluation
from eval import Dataset, PageName, Question, tuning
from eval.crossvalidation import choose
from eval.tuning import tune_fusion, tune_rebuilt, tune_threshold, write_settings
from folioscope.domain import PageKey, ScoredPage
from folioscope.errors import ConfigError, EvaluationError
from folioscope.settings import Settings, load_settings
from ingest import Library

pytest.importorskip("ir_measures", reason="needs the extra: pip install 'folioscope[eval]'")

GROUPS = [f"d{number // 5}" for number in range(200)]  # 40 documents, five questions each


def test_a_real_gain_is_kept() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(0, 1, 200)
    scores = np.stack([base, base + rng.normal(0.1, 0.1, 200), base - 0.1])
    choice = choose(scores, GROUPS)
    assert (choice.best, choice.picks) == (1, (1, 1, 1, 1, 1))
    assert choice.holds
    assert choice.held.difference == pytest.approx(0.1, abs=0.05)
    assert choice.tuned + choice.kept_back == 200
    assert choice.kept_back == 50


def test_what_luck_chooses_is_not() -> None:
    rng = np.random.default_rng(1)
    scores = rng.uniform(0, 1, (60, 200))  # 60 variants alike in nature: the best of them is a stroke of luck
    choice = choose(scores, GROUPS)
    assert choice.best != 0
    assert scores[choice.best].mean() > scores[0].mean() + 0.03
    assert not choice.holds
    assert abs(choice.folds.difference) < 0.06


def test_no_document_chooses_for_itself() -> None:
    """Variant n is perfect on the questions of document n alone: whoever looks at it would take it."""
    scores = np.zeros((41, 200))
    for number in range(40):
        scores[number + 1, [group == f"d{number}" for group in GROUPS]] = 1.0
    assert choose(scores, GROUPS).folds.difference == 0.0


def test_too_few_documents_are_refused() -> None:
    with pytest.raises(EvaluationError, match="more than 5 documents"):
        choose(np.zeros((2, 10)), ["a"] * 10)


def test_fusing_from_lists_is_what_the_product_does(dataset: Dataset, library: Library) -> None:
    variant = {"fusion": "normalized", "channel_weights": {}, "candidates": 200}
    retriever = library.retriever()
    rankings = tuning._rankings(retriever, ["lexical"], dataset.questions[0], None)
    fused = tuning._fused(variant, rankings)
    hits = retriever.search(dataset.questions[0].text, 100, regions=False).hits
    assert fused == [hit.key for hit in hits]


def test_weights_and_candidates_change_the_list() -> None:
    a, b = PageKey("d", 1, 1), PageKey("d", 1, 2)
    rankings = {
        "lexical": [ScoredPage(a, 2.0), ScoredPage(b, 1.0)],
        "semantic": [ScoredPage(b, 9.0), ScoredPage(a, 1.0)],
    }
    for weight, first in ((0.25, a), (4.0, b)):
        variant = {"fusion": "rrf", "channel_weights": {"lexical": 1.0, "semantic": weight}, "candidates": 2}
        assert tuning._fused(variant, rankings)[0] == first
    assert tuning._fused(
        {"fusion": "rrf", "channel_weights": {}, "candidates": 1}, {"lexical": rankings["lexical"]}
    ) == [a]
    variants = tuning._variants(["lexical", "semantic"], Settings())
    assert variants[0] == {"fusion": "normalized", "channel_weights": {}, "candidates": 200}
    assert len(variants) == 2 * 7 * 4
    assert len({str(variant) for variant in variants}) == len(variants)


def test_one_channel_can_not_be_fused(dataset: Dataset, library: Library) -> None:
    with pytest.raises(EvaluationError, match="nothing to fuse"):
        tune_fusion(dataset, library)


@pytest.fixture(scope="module")
def spread(library: Library) -> Dataset:
    """Eight "documents" of one question each, as cross-validation needs more than five."""
    texts = ["warranty", "repairs cost", "bicycles", "ferry leaves", "button seconds", "light flashes", "promised"]
    pages = [
        ("terms.pdf", 1),
        ("terms.pdf", 3),
        ("ferry.pdf", 2),
        ("ferry.pdf", 1),
        ("manual.pdf", 1),
        ("manual.pdf", 2),
    ]
    questions = [
        Question(f"q{n}", text, {PageName(*page): 1}) for n, (text, page) in enumerate(zip(texts, pages, strict=False))
    ]
    return Dataset("spread", tuple(questions))


def test_a_collection_is_made_anew_with_other_settings(
    library: Library, spread: Dataset, tmp_path: Path, make_pdf: Callable[..., Path]
) -> None:
    with Library(settings=Settings(data_dir=tmp_path / "other", channels=("lexical",))) as earlier:
        earlier.ingest([make_pdf("gone.pdf", ["What was there when this folder was made."])])
    with tuning.rebuilt(library, library.settings.model_copy(update={"ocr": "off"}), tmp_path / "other") as other:
        assert sorted(document.filename for document in other.documents()) == ["ferry.pdf", "manual.pdf", "terms.pdf"]
        assert other.settings.ocr == "off"
        assert evaluation.run(spread, other).retrieval("whole")["R@5"] == 1.0
    with pytest.raises(ConfigError, match="ocr"):
        tune_rebuilt(spread, library, [{"ocr": "guess"}], tmp_path)


def test_a_threshold_is_chosen_by_balanced_accuracy(library: Library, spread: Dataset) -> None:
    base = evaluation.run(spread, library)
    asked = base.questions[0]
    answer = evaluation.records.Answered(status="answered", text="x", confidence=0.0, citations=(), scores={}, ms=1.0)
    rng = np.random.default_rng(2)
    rows = []
    for number in range(120):
        none = number % 3 == 0
        sure = float(rng.uniform(0.0, 0.5) if none else rng.uniform(0.35, 1.0))
        given = answer.model_copy(update={"confidence": sure})
        rows.append(asked.model_copy(update={"group": f"d{number // 4}", "unanswerable": none, "answer": given}))
    tuned = tune_threshold(base.model_copy(update={"questions": tuple(rows)}), 0.15)
    assert 0.3 <= tuned.chosen["extractive_threshold"] <= 0.5
    assert tuned.choice.holds
    assert tuned.kept == tuned.chosen
    assert "kept" in tuned.lines()[0]
    assert "folds" in tuned._repr_html_()
    with pytest.raises(EvaluationError, match="both answerable and unanswerable"):
        tune_threshold(base, 0.15)


def test_what_holds_is_written_and_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(0, 1, 200)
    variants = [
        {"fusion": "normalized", "channel_weights": {}},
        {"fusion": "normalized", "channel_weights": {"lexical": 1.0, "semantic": 0.5}},
    ]
    better = tuning._tuned("fusion", "nDCG@5", variants, choose(np.stack([base, base + 0.1]), GROUPS))
    luck = tuning._tuned("fusion", "nDCG@5", variants, choose(rng.uniform(0, 1, (2, 200)), GROUPS))
    path = tmp_path / "folioscope.toml"
    path.write_text("# mine\ntop_k = 7\n")
    assert write_settings(path, [luck]) == {}
    assert path.read_text() == "# mine\ntop_k = 7\n"
    assert write_settings(path, [better]) == {"channel_weights": {"lexical": 1.0, "semantic": 0.5}}
    assert tomllib.loads(path.read_text())["top_k"] == 7
    monkeypatch.setenv("FOLIOSCOPE_CONFIG", str(path))
    assert load_settings().channel_weights == {"lexical": 1.0, "semantic": 0.5}
    with pytest.raises(ConfigError, match="sets channel_weights already"):
        write_settings(path, [better])


def test_weights_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLIOSCOPE_CHANNEL_WEIGHTS", "lexical=1, semantic=0.7")
    assert load_settings().channel_weights == {"lexical": 1.0, "semantic": 0.7}
    monkeypatch.setenv("FOLIOSCOPE_CHANNEL_WEIGHTS", "lexical=0")
    with pytest.raises(ConfigError, match="channel_weights"):
        load_settings()
    monkeypatch.setenv("FOLIOSCOPE_CHANNEL_WEIGHTS", "smell=1")
    with pytest.raises(ConfigError, match="channel_weights"):
        load_settings()
