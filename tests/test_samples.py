"""The sample documents: what the package promises of them, and that the script still makes them."""

import json
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pymupdf
import pytest

ROOT = Path(__file__).parents[1]
SAMPLES = Path(str(files("api"))) / "samples"
PDFS = sorted(SAMPLES.glob("*.pdf"))
QUESTIONS: list[dict[str, Any]] = json.loads((SAMPLES / "questions.json").read_text(encoding="utf-8"))["questions"]


def page_words(name: str, page: int) -> str:
    with pymupdf.open(SAMPLES / name) as document:
        text = document[page - 1].get_text(flags=pymupdf.TEXT_PRESERVE_WHITESPACE)  # ligatures come apart
    return " ".join(text.split())


def content(path: Path) -> list[tuple[str, tuple[float, ...], list[tuple[int, int]]]]:
    """Per page: text, size, sizes of the images in pixels."""
    with pymupdf.open(path) as document:
        return [
            (page.get_text(), tuple(page.rect), [(image[2], image[3]) for image in page.get_images()])
            for page in document
        ]


def test_there_are_three_small_documents_of_twelve_pages_or_more() -> None:
    assert len(PDFS) >= 3
    assert sum(path.stat().st_size for path in PDFS) <= 1_000_000
    assert sum(len(content(path)) for path in PDFS) >= 12


def test_only_the_scan_lacks_a_text_layer_and_its_pages_are_one_image_each() -> None:
    for path in PDFS:
        for text, _, images in content(path):
            assert bool(text.strip()) == ("scan" not in path.name)
            if "scan" in path.name:
                assert len(images) == 1
                assert min(images[0]) > 1500


@pytest.mark.parametrize("item", QUESTIONS, ids=lambda item: item["question"])
def test_a_question_is_answered_by_exactly_its_page(item: dict[str, Any]) -> None:
    if item["kind"] == "unanswerable":
        assert (item["document"], item["page"], item["answer"], item["expects"]) == (None, None, "", [])
        return
    assert item["expects"]
    if item["kind"] == "scan":
        assert item["page"] <= len(content(SAMPLES / item["document"]))
        return  # read by OCR below
    holders = [
        (path.name, number)
        for path in PDFS
        for number in range(1, len(content(path)) + 1)
        if all(words in page_words(path.name, number) for words in item["expects"])
    ]
    assert holders == [(item["document"], item["page"])]


def test_every_document_and_every_kind_of_page_has_its_question() -> None:
    assert {item["document"] for item in QUESTIONS} == {path.name for path in PDFS} | {None}
    assert {item["kind"] for item in QUESTIONS} == {"text", "table", "chart", "diagram", "scan", "unanswerable"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
def test_ocr_reads_the_answers_off_the_scan(tmp_path: Path) -> None:
    for item in QUESTIONS:
        if item["kind"] != "scan":
            continue
        image = tmp_path / f"{item['page']}.png"
        with pymupdf.open(SAMPLES / item["document"]) as document:
            document[item["page"] - 1].get_pixmap(dpi=150).save(image)
        run = subprocess.run(
            ["tesseract", image, "-"], env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/local/bin:/usr/bin:/bin"},
            capture_output=True, check=True, text=True,
        )  # fmt: skip
        read = " ".join(run.stdout.split())
        for words in item["expects"]:
            assert words in read


@pytest.mark.slow
def test_the_script_makes_the_same_documents(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "make_samples.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in PDFS]
    for path in PDFS:
        assert content(tmp_path / path.name) == content(path)
