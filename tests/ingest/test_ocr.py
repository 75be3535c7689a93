import shutil
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from numpy.typing import NDArray

from folioscope.domain import Words
from folioscope.errors import OcrFailed
from ingest.ocr import choose, recogniser
from ingest.sources import open_source

LINES = ["Invoices are paid within", "thirty days of receipt.", "Reminders follow monthly."]
needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")


def letter(dpi: int = 200) -> NDArray[np.uint8]:
    with pymupdf.open() as pdf:
        page = pdf.new_page(width=300, height=200)
        page.insert_text((30, 50), LINES, fontsize=16)
        pixmap = page.get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY)
        return np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.h, pixmap.w).copy()


def dense(dpi: int = 150) -> NDArray[np.uint8]:
    """A page with enough text for its orientation to be found."""
    with pymupdf.open() as pdf:
        page = pdf.new_page(width=420, height=595)
        page.insert_text((30, 50), LINES * 9, fontsize=14)
        pixmap = page.get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY)
        return np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.h, pixmap.w).copy()


def ink(grey: NDArray[np.uint8], words: Words, word: str) -> float:
    height, width = grey.shape
    x0, y0, x1, y1 = (words.boxes[list(words.texts).index(word)] * (width, height, width, height)).astype(int)
    return float((grey[y0:y1, x0:x1] < 128).mean())


@needs_tesseract
def test_tesseract_gives_words_with_boxes_and_lines() -> None:
    recognise = recogniser("tesseract", "eng")
    assert recognise is not None
    grey = letter()
    words = recognise(grey, 200)
    assert words.source == "ocr"
    assert words.text() == "\n".join(LINES)
    assert ink(grey, words, "thirty") > 0.1
    top = words.boxes[list(words.texts).index("thirty"), 1]
    assert 0.25 < top < 0.45


@needs_tesseract
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turned_scans_are_read_and_boxes_stay_where_the_ink_is(quarters: int) -> None:
    recognise = recogniser("tesseract", "eng")
    assert recognise is not None
    grey = np.rot90(dense(), quarters)
    words = recognise(grey, 150)
    assert words.text().startswith("Invoices are paid within\nthirty days")
    assert ink(grey, words, "Invoices") > 0.1


@needs_tesseract
def test_a_missing_language_names_the_package() -> None:
    recognise = recogniser("tesseract", "eng+chi_sim")
    assert recognise is not None
    with pytest.raises(OcrFailed, match="'chi_sim'") as error:
        recognise(letter(), 200)
    assert "tesseract-ocr-chi-sim" in error.value.hint


def test_without_tesseract_auto_is_rapidocr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose("auto") == "rapidocr"
    recognise = recogniser("tesseract", "eng")
    assert recognise is not None
    with pytest.raises(OcrFailed, match="not on the PATH"):
        recognise(letter(), 200)


def test_off_is_off() -> None:
    assert recogniser("off", "eng") is None


@pytest.mark.filterwarnings("ignore")  # of RapidOCR's own dependencies
def test_rapidocr_gives_words_with_boxes() -> None:
    recognise = recogniser("rapidocr", "eng")
    assert recognise is not None
    grey = letter(100)
    words = recognise(grey, 100)
    assert words.text() == "\n".join(LINES)
    assert ink(grey, words, "thirty") > 0.05
    empty = recognise(np.full((100, 100), 255, np.uint8), 100)
    assert (len(empty), empty.source) == (0, "none")


@needs_tesseract
def test_a_scanned_page_is_read_upright(tmp_path: Path) -> None:
    scan = dense()
    path = tmp_path / "scan.pdf"
    with pymupdf.open() as pdf:
        page = pdf.new_page(width=420, height=595)
        height, width = scan.shape
        page.insert_image(page.rect, pixmap=pymupdf.Pixmap(pymupdf.csGRAY, width, height, scan.tobytes(), False))
        page.set_rotation(90)
        pdf.save(path)
    source = open_source(path, None, max_pages=9, max_pixels=10_000_000)
    page = source.read(1, recogniser("auto", "eng"))
    assert page.words.source == "ocr"
    assert page.words.text().startswith(LINES[0])
    image = source.render(1, 1000)[:, :, 0]
    assert ink(image, page.words, "Invoices") > 0.05
