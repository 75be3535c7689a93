"""A small collection in a data folder, and questions about it; taken in once for all tests here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pymupdf
import pytest

from eval.datasets import Dataset, PageName, Question, TrueRegion
from folioscope.domain import Box
from folioscope.settings import Settings, load_settings
from ingest import Library

PAGES = {
    "terms.pdf": ["The warranty lasts two years.", "Nothing else is promised.", "Repairs cost 40 euros an hour."],
    "ferry.pdf": ["The ferry leaves at seven.", "Bicycles travel free.", "The warranty of the ferry is unknown."],
    "manual.pdf": ["Hold the button for five seconds.", "The light flashes blue."],
}


@pytest.fixture(scope="session")
def taken_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three documents, eight pages; lexical channel."""
    folder = tmp_path_factory.mktemp("eval")
    for name, pages in PAGES.items():
        with pymupdf.open() as pdf:
            for text in pages:
                pdf.new_page(width=420, height=595).insert_text((40, 60), text, fontsize=11)
            pdf.save(folder / name)
    with Library(settings=Settings(data_dir=folder / "data", channels=("lexical",))) as opened:
        opened.ingest([folder / name for name in PAGES])
    return folder / "data"


@pytest.fixture
def data(taken_in: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(taken_in, tmp_path / "data"))


@pytest.fixture(scope="session")
def settings(taken_in: Path) -> Settings:
    return load_settings({"data_dir": taken_in, "model": "extractive"})


@pytest.fixture(scope="session")
def library(settings: Settings) -> Iterator[Library]:
    with Library(settings=settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Four questions that words find, one with a region, one that nothing answers."""

    def question(name: str, text: str, document: str, page: int, answer: str) -> Question:
        domain = "law" if document == "terms.pdf" else "travel"
        return Question(name, text, {PageName(document, page): 1}, document, (answer,), labels={"domain": domain})

    warranty = question("warranty", "How long does the warranty last?", "terms.pdf", 1, "two years")
    region = TrueRegion(PageName("terms.pdf", 1), Box(0.05, 0.07, 0.6, 0.12))
    return Dataset(
        "small",
        (
            Question(**{name: getattr(warranty, name) for name in warranty.__slots__} | {"regions": (region,)}),
            question("repair", "What do repairs cost?", "terms.pdf", 3, "40 euros"),
            question("bicycles", "Do bicycles travel free?", "ferry", 2, "yes | free"),  # named without its ending
            question("button", "How long must the button be held?", "manual.pdf", 1, "five seconds"),
            Question("president", "Who is the president of Mars?", document="ferry.pdf", unanswerable=True),
        ),
    )
