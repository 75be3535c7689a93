"""Which of some labels fits a document, and what on its pages says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import create_model

from folioscope.domain import GivenPage, Segment
from folioscope.errors import ConfigError
from folioscope.ports import VisionModel
from generation.asking import Reply
from generation.reading import Quoted, Read, Reading
from generation.running import synchronous

PURPOSE = "what tells which of these labels fits the document: {labels}."
INSTRUCTION = (
    "Which of these labels fits the document best: {labels}? Reply with `label`, null where none fits, with `reason`, "
    "one sentence, and with `evidence`, quotes that show it, with their pages."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification(Read):
    """``label``: one of those given, None where none fits. ``reason``: why, with the citations that carry it."""

    label: str | None
    reason: Segment


class _Classified(Reply):
    label: str | None
    reason: str
    evidence: list[Quoted]


async def classify_async(
    model: VisionModel, pages: Sequence[GivenPage], labels: Sequence[str], *, page_words: bool = True
) -> Classification:
    """Which of ``labels``, two at least, fits the document that ``pages`` are.

    Raises `ConfigError` for fewer labels, `QueryError` without pages, and what the model raises.
    """
    labels = tuple(dict.fromkeys(label.strip() for label in labels if label.strip()))
    if len(labels) < 2:
        raise ConfigError(
            f"{len(labels)} labels leave no choice.", hint="Give two at least: --label invoice --label letter."
        )
    named = ", ".join(f"“{label}”" for label in labels)
    choice: Any = Literal[labels] | None
    kind = create_model("Label", __base__=_Classified, label=(choice, ...))
    reading = Reading(model, pages, page_words=page_words)
    said = await reading.over_all(kind, PURPOSE.format(labels=named), INSTRUCTION.format(labels=named))
    return Classification(label=said.label, reason=Segment(said.reason, reading.cited(said.evidence)), **reading.told())


classify = synchronous(classify_async)
