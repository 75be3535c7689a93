"""Asking a vision-language model for a value: its reply is JSON, checked, and asked for once more where it is wrong."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from folioscope.domain import Finish, Picture, Prompt
from folioscope.errors import ModelError, ReplyCut
from folioscope.ports import VisionModel
from generation.running import closing
from generation.schemas import can_be_held, in_words, pointer

REPLY_TOKENS = 8192

M = TypeVar("M", bound="Reply")


class Reply(BaseModel):
    """What a model is asked to reply: every field is wanted, others are ignored."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})


class Asking:
    """Questions to one model, told in ``system`` what it must keep to. ``usage``: as in `Finish`, summed so far."""

    def __init__(self, model: VisionModel, system: str) -> None:
        self.model = model
        self.usage: Counter[str] = Counter()
        self._system = system

    async def ask_for(self, kind: type[M], parts: Sequence[str | Picture]) -> M:
        """The model's reply to ``parts`` as a ``kind``, asked for once more where it is none.

        Raises `ReplyCut`, `ModelError` where the second reply is none either, and what the model raises.
        """

        def problems(value: Any) -> list[str]:
            try:
                kind.model_validate(value)
            except ValidationError as error:
                return [f"{pointer(*e['loc'])}: {e['msg']}" for e in error.errors()]
            return []

        value, wrong = await self.ask_json(parts, kind.model_json_schema(), problems)
        if wrong:
            raise _unusable(self.model, wrong)
        return kind.model_validate(value)

    async def ask_json(
        self, parts: Sequence[str | Picture], schema: Mapping[str, Any], problems: Callable[[Any], list[str]]
    ) -> tuple[Any, list[str]]:
        """The model's reply as a JSON value, and what is still wrong with it after it was asked for a second time.

        Raises `ReplyCut`, and `ModelError` where not even the second reply is JSON.
        """
        held = schema if can_be_held(schema) else None
        asked = tuple(parts) if held else (*parts, in_words(schema))
        for again in (False, True):
            text = await self._ask(Prompt(self._system, asked, schema=held, max_tokens=REPLY_TOKENS))
            value, wrong = _judged(text, problems)
            if again or not wrong:
                break
            asked = (*asked, _correction(text, wrong))
        if value is None:
            raise _unusable(self.model, wrong)
        return value, wrong

    async def _ask(self, prompt: Prompt) -> str:
        text, finish = await reply(self.model, prompt)
        self.usage.update(finish.usage)
        if finish.reason == "length":
            raise ReplyCut(
                f"The reply of {self.model.name} was cut after {cut_after(finish, prompt):,} tokens.",
                hint="Ask for less: fewer pages, or a smaller schema.",
            )
        return text


async def reply(model: VisionModel, prompt: Prompt) -> tuple[str, Finish]:
    """The whole reply. Raises `ModelError` where the model declined or ended without a word on how."""
    pieces: list[str] = []
    finish: Finish | None = None
    async with closing(model.generate(prompt)) as stream:
        async for piece in stream:
            if isinstance(piece, Finish):
                finish = piece
            else:
                pieces.append(piece)
    if finish is None:
        raise ModelError(f"{model.name} broke off its reply.", hint="Try again.")
    if finish.reason == "refusal":
        raise ModelError(f"{model.name} declined to reply.", hint="Ask otherwise, or choose another model.")
    return "".join(pieces), finish


def cut_after(finish: Finish, prompt: Prompt) -> int:
    """Tokens of a reply that was cut: a context may end before ``prompt.max_tokens``."""
    return finish.usage.get("output_tokens", prompt.max_tokens)


def parsed(text: str) -> Any:
    """The first JSON object in a reply, whatever stands around it. Raises ``ValueError`` without one."""
    decoder = json.JSONDecoder(parse_constant=_no_number, parse_float=_number)
    starts = [place for place, letter in enumerate(text) if letter == "{"][:100]
    for start in starts:
        try:
            return decoder.raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            continue
    raise ValueError("there is no JSON object in the reply")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _judged(text: str, problems: Callable[[Any], list[str]]) -> tuple[Any, list[str]]:
    """The reply's value and what is wrong with it; None where it has none."""
    try:
        value = parsed(text)
    except ValueError as error:
        return None, [str(error)]
    return value, problems(value)


def _correction(text: str, wrong: Sequence[str]) -> str:
    said = "\n".join(f"- {each}" for each in wrong[:20])
    return f"You replied:\n{text}\n\nThat is not what was asked for:\n{said}\nReply again, with JSON alone."


def _unusable(model: VisionModel, wrong: Sequence[str]) -> ModelError:
    return ModelError(
        f"{model.name} replied twice with what can't be used: {'; '.join(wrong[:3])}.",
        hint="Try again, or choose a more capable model.",
    )
