import asyncio
from collections.abc import AsyncIterator

import pytest

from folioscope.domain import Answer, Finish, PictureLimits, Prompt, Segment, Turn
from folioscope.errors import ModelBusy
from folioscope.settings import Settings
from generation.conversation import LONGEST_QUESTION, MOST_CHARACTERS, MOST_TURNS, bounded, extended, standing
from generation.models.extractive import Extractive
from generation.reader import Reader
from retrieval.analysis import TextAnalyzer

TALK = (Turn("user", "What was revenue in 2023?"), Turn("assistant", "4,200 thousand euros."))


class Writes:
    """A model that writes what it is told to."""

    name = "writes"
    limits = PictureLimits(100, 10**6, 1)
    structured = True

    def __init__(self, *reply: str | Finish | Exception) -> None:
        self.reply = reply
        self.asked: list[Prompt] = []

    async def generate(self, prompt: Prompt) -> AsyncIterator[str | Finish]:
        self.asked.append(prompt)
        for piece in self.reply:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def test_a_follow_up_is_rewritten_by_the_model_itself() -> None:
    model = Writes('"What was revenue', '\nin 2022?"', Finish("stop"))
    assert asyncio.run(Reader(model, Settings()).standing("And before?", TALK)) == "What was revenue in 2022?"
    (asked,) = model.asked
    assert asked.history == TALK
    assert "And before?" in asked.parts[-1]
    assert asked.schema is None


def test_without_a_history_nobody_is_asked() -> None:
    model = Writes()
    assert asyncio.run(standing("And before?", (), model)) == "And before?"
    assert model.asked == []


@pytest.mark.parametrize(
    "reply",
    [
        ["", Finish("stop")],
        ["What was", Finish("length")],
        ["No.", Finish("refusal")],
        ["x" * (LONGEST_QUESTION + 1), Finish("stop")],
    ],
)
def test_what_is_no_question_leaves_it_as_it_was(reply: list[str | Finish]) -> None:
    assert asyncio.run(standing("And before?", TALK, Writes(*reply))) == "And before?"


def test_an_error_is_raised() -> None:
    with pytest.raises(ModelBusy):
        asyncio.run(standing("And before?", TALK, Writes(ModelBusy("later"))))


def test_the_extractive_model_cannot_rewrite() -> None:
    assert asyncio.run(Extractive(TextAnalyzer()).standing("And before?", TALK)) is None


def test_history_is_bounded_and_begins_with_a_question() -> None:
    long = TALK * MOST_TURNS
    assert bounded(long) == long[-MOST_TURNS:]
    assert bounded(long[:-1])[0].role == "user"
    assert bounded([*TALK, Turn("user", "x" * MOST_CHARACTERS)]) == (Turn("user", "x" * MOST_CHARACTERS),)
    assert bounded([Turn("user", "x" * (MOST_CHARACTERS + 1))]) == ()


def test_a_conversation_goes_on_with_what_was_searched_and_said() -> None:
    answered = Answer("And before?", "answered", (Segment("4,000."),), (), (), "m", query="What was revenue in 2022?")
    assert extended(TALK, answered) == (
        *TALK,
        Turn("user", "What was revenue in 2022?"),
        Turn("assistant", "4,000."),
    )
    nothing = Answer("Why?", "not_found", (Segment("Because."),), (), (), "m")
    assert extended((), nothing) == (Turn("user", "Why?"), Turn("assistant", "The pages don't say."))
