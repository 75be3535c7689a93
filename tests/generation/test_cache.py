"""A reply that was paid for is not asked for again; anything that could change it is another question."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from folioscope.domain import (
    DocumentRef,
    Draft,
    DraftSegment,
    Finish,
    GivenPage,
    PictureLimits,
    Prompt,
    Quote,
    Turn,
    Words,
)
from folioscope.errors import StorageError
from folioscope.settings import Settings
from generation import cache
from generation.cache import Cached, forget
from generation.reader import Reader


class Counts:
    """A model that says how often it has been asked."""

    name = "counts"
    limits = PictureLimits(100, 10**6, 5)
    structured = False

    def __init__(self) -> None:
        self.count = 0
        self.finish = Finish("stop", {"input_tokens": 5})

    async def generate(self, prompt: Prompt) -> AsyncIterator[str | Finish]:
        self.count += 1
        yield f"Asked [[1: figure it out]].\n\nSo {self.count} [[2 figure: a photo]]."
        yield self.finish


def page(text: str, version: int = 1) -> GivenPage:
    return GivenPage(
        DocumentRef("doc_1", version, "a.pdf", 1),
        1,
        Words([text], np.zeros((1, 4), np.float32), np.zeros(1, np.int32), np.zeros(1, np.int32), "ocr"),
    )


def ask(
    path: Path,
    model: Counts,
    question: str = "Q?",
    pages: Sequence[GivenPage] = (page("a"),),
    history: Sequence[Turn] = (),
    settings: Settings = Settings(),  # noqa: B008
) -> tuple[str, Draft]:
    async def collect() -> list[str | DraftSegment | Draft]:
        return [piece async for piece in Cached(Reader(model, settings), path).draft(question, pages, history)]

    out = asyncio.run(collect())
    draft = out.pop()
    assert isinstance(draft, Draft)
    assert tuple(piece for piece in out if isinstance(piece, DraftSegment)) == draft.segments
    return "".join(piece for piece in out if isinstance(piece, str)), draft


def test_the_second_time_nobody_is_asked(tmp_path: Path) -> None:
    model, path = Counts(), tmp_path / "answers.sqlite"
    text, first = ask(path, model)
    again, second = ask(path, model)
    assert model.count == 1
    assert (again, second.segments) == (text, first.segments)
    assert first.segments[1] == DraftSegment("\n\nSo 1.", (Quote("a photo", 1, figure=True),))
    assert first.usage == {"input_tokens": 5}
    assert (second.usage, second.warnings) == ({}, ("The model's reply was taken from the cache.",))


def test_another_question_page_version_history_or_model_is_asked_anew(tmp_path: Path) -> None:
    model, path = Counts(), tmp_path / "answers.sqlite"
    ask(path, model)
    ask(path, model, "Another?")
    ask(path, model, pages=[page("b")])
    ask(path, model, pages=[page("a", version=2)])
    ask(path, model, history=(Turn("user", "Hello?"),))
    assert model.count == 5
    other = Counts()
    other.name = "other"
    ask(path, other)
    assert other.count == 1


def test_another_prompt_is_asked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, path = Counts(), tmp_path / "answers.sqlite"
    ask(path, model)
    monkeypatch.setattr(cache, "VERSION", "another")
    ask(path, model)
    assert model.count == 2


@pytest.mark.parametrize("finish", [Finish("length"), Finish("refusal")])
def test_only_whole_replies_are_kept(tmp_path: Path, finish: Finish) -> None:
    model, path = Counts(), tmp_path / "answers.sqlite"
    model.finish = finish
    ask(path, model)
    ask(path, model)
    assert model.count == 2


def test_the_oldest_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST", 3)
    model, path = Counts(), tmp_path / "answers.sqlite"
    for number in range(5):
        ask(path, model, f"{number}?")
    for number in (4, 3, 2):
        ask(path, model, f"{number}?")
    assert model.count == 5
    ask(path, model, "1?")
    assert model.count == 6


def test_a_cache_that_cannot_be_read_is_said_before_the_model_is_paid(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_bytes(b"no database at all" * 100)
    model = Counts()
    with pytest.raises(StorageError, match="Remove the file"):
        ask(path, model)
    assert model.count == 0


def test_a_reply_that_cannot_be_kept_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"

    class Breaks(Counts):
        async def generate(self, prompt: Prompt) -> AsyncIterator[str | Finish]:
            path.write_bytes(b"no database at all" * 100)
            async for piece in super().generate(prompt):
                yield piece

    text, draft = ask(path, Breaks())
    assert text.startswith("Asked.")
    assert "not kept in the cache" in draft.warnings[0]
    assert replace(draft, warnings=()).usage == {"input_tokens": 5}


def test_what_quotes_a_document_goes_with_it(tmp_path: Path) -> None:
    model, path = Counts(), tmp_path / "answers.sqlite"
    other = replace(page("b"), document=DocumentRef("doc_2", 1, "b.pdf", 1))
    forget(path, ["doc_1"])  # nothing was ever kept
    assert not path.exists()
    ask(path, model, "One?")
    ask(path, model, "Both?", [page("a"), other])
    ask(path, model, "Two?", [other])
    assert b"figure it out" in path.read_bytes()
    forget(path, ["doc_1", "doc_3"])
    ask(path, model, "Two?", [other])
    assert model.count == 3
    ask(path, model, "Both?", [page("a"), other])
    ask(path, model, "One?")
    assert model.count == 5
    forget(path, ["doc_1", "doc_2"])
    assert b"figure it out" not in path.read_bytes()


def test_a_reply_to_words_is_none_to_pictures_alone(tmp_path: Path) -> None:
    model, path = Counts(), tmp_path / "answers.sqlite"
    ask(path, model)
    ask(path, model, settings=Settings(page_words=False))
    assert model.count == 2
