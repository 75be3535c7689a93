"""A report is one page that needs nothing else; a page that can't be drawn says so."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from numpy.typing import NDArray

import eval as evaluation
from eval import Dataset, Run, reports
from folioscope.errors import DocumentNotFound, EvaluationError
from generation import open_model
from ingest import Library
from retrieval import analyzer

pytest.importorskip("ir_measures", reason="needs the extra: pip install 'folioscope[eval]'")
pytest.importorskip("matplotlib", reason="needs the extra: pip install 'folioscope[eval]'")


@pytest.fixture(scope="module")
def runs(dataset: Dataset, library: Library) -> list[Run]:
    """The base, and one that has lost a question."""
    model = open_model("extractive", library.settings, analyzer=analyzer())
    base = evaluation.run(dataset, library, model=model, name="base")
    first, *others = base.questions
    lost = first.whole.model_copy(update={"hits": (("ferry.pdf", 1),) * 5 + first.whole.hits})
    changed = (first.model_copy(update={"whole": lost, "text": "<script>?"}), *others)
    return [base, base.model_copy(update={"name": "a|b <c>", "questions": changed})]


def grey(_document: str, _page: int) -> NDArray[np.uint8]:
    return np.full((400, 300, 3), 128, np.uint8)


class Tags(HTMLParser):
    """Every tag with its attributes, and whether they close as they open."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else(runs: list[Run]) -> None:
    page = reports.html(runs, grey)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    names = [tag for tag, _ in tags.seen]
    assert not {"script", "link", "iframe"} & set(names)
    sources = [attributes["src"] or "" for tag, attributes in tags.seen if tag == "img"]
    assert len(sources) == 2  # the page that answers, and what stood first in its place
    assert all(source.startswith("data:image/webp;base64,") for source in sources)
    assert not re.findall(r'(?:href|src)="?https?:', page)
    assert names.count("svg") == 10  # recall, two costs and groups in both scopes; the threshold of both runs
    assert "&lt;script&gt;?" in page


def test_a_page_that_is_gone_is_said_so(runs: list[Run]) -> None:
    def gone(document: str, _page: int) -> NDArray[np.uint8]:
        raise DocumentNotFound(f"There is no document {document}.")

    assert "There is no document terms.pdf." in reports.html(runs, gone)


def test_markdown_holds_against_odd_names(runs: list[Run]) -> None:
    text = reports.markdown(runs)
    assert r"a\|b <c>" in text
    tables = [line.replace(r"\|", "") for line in text.splitlines() if line.startswith("| nDCG@5,")]
    assert [line.count("|") for line in tables] == [4, 4]
    assert "| law | 1.000 | 2 |" in text


def test_a_report_of_nothing_is_refused() -> None:
    with pytest.raises(EvaluationError, match="needs a run"):
        reports.html([])
