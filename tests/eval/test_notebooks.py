"""The notebooks run on the samples from top to bottom; in git they have no outputs; the copies to read are of today."""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pymupdf
import pytest

from eval import Dataset, load

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "eval" / "notebooks").glob("*.ipynb"))
COPIES = ROOT / "docs" / "notebooks"

nbformat = pytest.importorskip("nbformat", reason="needs the extra: pip install 'folioscope[dev]'")


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the notebooks stand beside, and a tiny model for the visual channel. It is not trained."""
    from benchmarks.tiny_models import build

    folder = tmp_path_factory.mktemp("notebooks")
    shutil.copyfile(ROOT / "eval" / "notebooks" / "sample_questions.jsonl", folder / "sample_questions.jsonl")
    build("colmodernvbert", folder / "tiny")
    return folder


@pytest.fixture
def environment(desk: Path) -> dict[str, str]:
    """Of the kernel: this checkout, no settings, keys or Jupyter profile of whoever runs the tests."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("FOLIOSCOPE_", "JUPYTER_"))}
    return ours | {
        "HOME": str(desk),
        "XDG_CONFIG_HOME": str(desk),
        "IPYTHONDIR": str(desk),
        "PYTHONPATH": str(ROOT),
        "FOLIOSCOPE_CHANNELS": "lexical,semantic",  # the fourth notebook adds the visual one
        "FOLIOSCOPE_VISUAL_MODEL": f"colpali:{desk / 'tiny'}",
        "FOLIOSCOPE_MODEL": "extractive",
        "FOLIOSCOPE_TOP_K": "2",  # fewer pages to read for each question
        "OMP_NUM_THREADS": "1",
    }


# In each notebook's outputs, whatever else they say. They are run in this order, in one data folder: the last alone
# makes a visual channel and loads torch.
SHOWN = {
    "1-from-a-folder-to-an-answer": ["0.35 euros a share", "6,500 pounds", "<i>not found, by extractive", "unverified"],
    "2-evaluating-retrieval": ["54 questions", "nDCG@5", "<svg", "diagram"],
    "3-choosing-channels": ["lexical", "fused", "KiB a page", "<svg", "difference"],
    "5-citations-and-not-found": ["11 of them unanswerable", "AUROC", "<svg", "citation precision"],
    "4-similarity-maps": ["tiny", "cells, highest cosine", "harbour"],
}


@pytest.mark.skipif(find_spec("transformers") is None, reason="needs the extra folioscope[vision]")
@pytest.mark.parametrize("name", SHOWN)
def test_a_notebook_runs_from_top_to_bottom(name: str, desk: Path, environment: dict[str, str]) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs the extra: pip install 'folioscope[dev]'")
    notebook = read(ROOT / "eval" / "notebooks" / f"{name}.ipynb")
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(desk)}})
    client.execute(env=environment)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "\n".join(output.get("text", "") or "\n".join(output["data"].values()) for output in outputs)
    assert [wanted for wanted in SHOWN[name] if wanted not in shown] == []
    assert ("data:image/webp" in shown) == ("show" in str(notebook.cells))
    assert "Traceback" not in shown


def test_every_notebook_is_known_here() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(SHOWN)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_in_git_has_no_outputs(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not cell.metadata


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_copy_to_read_is_of_this_notebook(path: Path) -> None:
    copy = (COPIES / f"{path.stem}.md").read_text(encoding="utf-8")
    for cell in read(path).cells:
        assert cell.source in copy, "run scripts/render_notebooks.py"


def test_the_copies_have_their_pictures_and_stay_small() -> None:
    text = "".join(copy.read_text(encoding="utf-8") for copy in COPIES.glob("*.md"))
    named = set(re.findall(r'src="images/([^"]+)"', text))
    kept = {image.name for image in (COPIES / "images").iterdir()}
    assert named == kept
    assert len(kept) > len(NOTEBOOKS)
    assert sum(path.stat().st_size for path in COPIES.rglob("*") if path.is_file()) <= 500_000


# --- the questions ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def questions() -> Dataset:
    return load(ROOT / "eval" / "notebooks" / "sample_questions.jsonl")


def test_questions_with_and_without_an_answer_about_each_document(questions: Dataset) -> None:
    samples = {path.name for path in (ROOT / "api" / "samples").glob("*.pdf")}
    assert {question.document for question in questions if question.pages} == samples
    assert {question.document for question in questions if question.unanswerable} == samples


def test_answers_stand_on_their_pages(questions: Dataset) -> None:
    """Of documents with a text layer: in the text of each page that is said to answer."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from sample_pages import letter
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    typed = {1: letter.FIRST, 2: letter.SECOND}
    for question in questions:
        for name, page in question.pages:
            with pymupdf.open(ROOT / "api" / "samples" / name) as pdf:
                text = typed[page] if "scan" in name else pdf[page - 1].get_text(flags=0)
            plain = " ".join(text.split()).casefold()
            wordings = [answer.split(" | ") for answer in question.answers]
            assert any(all(part.casefold() in plain for part in parts) for parts in wordings), question.id


def test_boxes_of_answers_hold_words(questions: Dataset) -> None:
    for question in questions:
        for (name, page), box in question.regions:
            with pymupdf.open(ROOT / "api" / "samples" / name) as pdf:
                width, height = pdf[page - 1].rect.width, pdf[page - 1].rect.height
                inside = pymupdf.Rect(box.x0 * width, box.y0 * height, box.x1 * width, box.y1 * height)
                assert pdf[page - 1].get_textbox(inside).strip(), question.id
