"""Results show themselves: text alone, or with marked pages of a library; whatever they say is escaped."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from eval import gallery, plots, show
from eval.tables import Table
from folioscope.domain import Box, Region
from generation import answer, open_model
from ingest import Library
from retrieval import analyzer

ODD = "<script>alert('&')</script>"


@pytest.fixture(scope="module")
def found(library: Library):
    return library.retriever().search("How long does the warranty last?", k=2)


@pytest.fixture(scope="module")
def reply(library: Library):
    model = open_model("extractive", library.settings, analyzer=analyzer())
    return answer("How long does the warranty last?", library.retriever(), model, images=library)


def pictures(html: str) -> list[np.ndarray]:
    """The images in a piece of HTML: uint8 [height, width, 3]."""
    found = re.findall(r'src="data:image/webp;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")) for data in found]


def yellow(image: np.ndarray) -> np.ndarray:
    """Where it is marked: bool [height, width]."""
    part = image.astype(int)
    return (part[..., 2] < 160) & (part[..., 0] > 180)


def test_hits_show_their_pages_with_the_words_marked(library: Library, found) -> None:
    html = show(found, library)._repr_html_()
    first, second = pictures(html)
    assert max(first.shape) == 320
    assert yellow(first).any()
    rows = np.flatnonzero(yellow(first).any(axis=1)) / first.shape[0]
    assert 0.05 < rows.min() <= rows.max() < 0.15  # the only line of that page
    assert html.index("terms.pdf, page 1") < html.index("ferry.pdf")
    assert "lexical 1." in html
    assert second.shape == first.shape


def test_one_hit_is_shown_larger_and_in_the_size_asked_for(library: Library, found) -> None:
    assert max(pictures(show(found.hits[0], library).html)[0].shape) == 900
    assert max(pictures(show(found.hits[0], library, long_edge=100).html)[0].shape) == 100


def test_regions_that_were_seen_have_another_colour(library: Library, found) -> None:
    seen = replace(found.hits[0], regions=(Region(Box(0.2, 0.5, 0.8, 0.9), 1.0, "similarity"),))
    (image,) = pictures(show(seen, library).html)
    height, width = image.shape[:2]
    blue = image[int(0.7 * height), int(0.5 * width)].astype(int)
    assert blue[2] > blue[0] + 30
    assert not yellow(image).any()


def test_an_answer_shows_each_cited_page_once(library: Library, reply) -> None:
    html = show(reply, library).html
    assert len(pictures(html)) == len({citation.key for citation in reply.citations})
    assert "<sup>[1]</sup>" in html
    assert "The warranty lasts two years." in html
    twice = replace(reply, citations=(reply.citations[0], replace(reply.citations[0], index=2)))
    assert len(pictures(show(twice, library).html)) == 1
    assert "[1][2] terms.pdf, page 1" in show(twice, library).html
    assert yellow(pictures(show(reply.citations[0], library).html)[0]).any()


def test_results_show_themselves_without_pictures(found, reply) -> None:
    for result in (found, found.hits[0], reply):
        assert "terms.pdf, page 1" in result._repr_html_()
        assert "<img" not in result._repr_html_()
    assert "No page was found" in replace(found, hits=())._repr_html_()
    nothing = replace(reply, status="not_found", segments=(), citations=())
    assert "not found, by extractive" in nothing._repr_html_()


def test_whatever_is_said_is_escaped(library: Library, found, reply) -> None:
    hit = replace(found.hits[0], snippet=ODD, document=replace(found.hits[0].document, filename=ODD))
    citation = replace(reply.citations[0], quote=ODD)
    segment = replace(reply.segments[0], text=ODD)
    odd = replace(reply, question=ODD, citations=(citation,), segments=(segment,), warnings=(ODD,), model=ODD)
    everything = replace(found, query=ODD, hits=(hit,), notes=(ODD,))
    empty = replace(everything, hits=())
    images = gallery({ODD: np.zeros((4, 4, 3), np.uint8)})
    shown = (show(everything, library), show(odd, library), empty, images)
    for result in shown:
        assert "<script" not in result._repr_html_()
        assert "&lt;script&gt;" in result._repr_html_()


def test_a_page_that_is_gone_says_so(library: Library, found) -> None:
    gone = replace(found.hits[0], document=replace(found.hits[0].document, id="doc_gone"))
    html = show(gone, library).html
    assert "There is no page 1 of doc_gone" in html
    assert "<img" not in html


def test_tables_and_plots_show_themselves() -> None:
    assert "<td>0.500</td>" in Table(["a"], [[0.5]])._repr_html_()
    assert plots.Picture("<svg></svg>")._repr_html_() == "<svg></svg>"
