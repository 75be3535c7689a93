"""Follow-up questions: "And the year before?" is searched as what it means."""

from __future__ import annotations

from collections.abc import Sequence

from folioscope.domain import Answer, Prompt, Turn
from folioscope.ports import VisionModel
from generation.running import closing

MOST_TURNS = 12
"""Messages kept of a conversation, questions and answers counted alike."""

MOST_CHARACTERS = 12_000
"""Of all of them together."""

LONGEST_QUESTION = 1000
"""Characters of a rewritten question; more is no question."""

RULES = """\
You are given a conversation about documents and a new question. Write the question so that somebody who has not read \
the conversation understands it: put in who, what, when and which document it is about. Change nothing else. A \
question that already stands by itself stays as it is. Keep its language. Do not answer it. Reply with the question \
alone.
"""


def bounded(history: Sequence[Turn]) -> tuple[Turn, ...]:
    """The last turns, beginning with a question, within `MOST_TURNS` and `MOST_CHARACTERS`."""
    kept: list[Turn] = []
    room = MOST_CHARACTERS
    for turn in reversed(history[-MOST_TURNS:]):
        room -= len(turn.text)
        if room < 0:
            break
        kept.insert(0, turn)
    while kept and kept[0].role == "assistant":
        kept.pop(0)
    return tuple(kept)


def extended(history: Sequence[Turn], answer: Answer) -> tuple[Turn, ...]:
    """The conversation with this answer."""
    return bounded([*history, *turns(answer.query or answer.question, answer.status, answer.text)])


def turns(asked: str, status: str, said: str) -> tuple[Turn, Turn]:
    """A question, as it was understood, and its answer."""
    told = said if status in ("answered", "partial") else "The pages don't say."
    return Turn("user", asked), Turn("assistant", told)


async def standing(question: str, history: Sequence[Turn], model: VisionModel) -> str:
    """The question as ``model`` writes it to be understood without ``history``; unchanged where it fails to.

    Raises what `VisionModel.generate` raises.
    """
    if not history:
        return question
    written = ""
    asked = Prompt(RULES, (f"The new question: {question}",), tuple(history), max_tokens=1024)
    async with closing(model.generate(asked)) as pieces:
        async for piece in pieces:
            if isinstance(piece, str):
                written += piece
            elif piece.reason != "stop":
                return question
    written = " ".join(written.split()).strip('"“”')
    return written if 0 < len(written) <= LONGEST_QUESTION else question
