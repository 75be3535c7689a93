"""The answering models: one file each, imported when it is asked for."""

from __future__ import annotations

from folioscope.errors import ModelUnavailable
from folioscope.ports import Analyzer, AnswerModel, TextEncoder

__all__ = ["KNOWN", "open_model"]

KNOWN = ["extractive"]
"""What `open_model` opens; ``auto`` takes the first that is configured, and the extractive model always is."""


def open_model(spec: str, *, analyzer: Analyzer, encoder: TextEncoder | None = None) -> AnswerModel:
    """The answering model that ``spec`` names: one of `KNOWN`, or ``auto``.

    The extractive model compares words through ``analyzer`` and, where given, meanings through ``encoder``.
    Raises `ModelUnavailable` for any other name.
    """
    if spec in ("auto", "extractive"):
        from generation.models.extractive import Extractive

        return Extractive(analyzer, encoder)
    raise ModelUnavailable(
        f"There is no answering model {spec!r}; known are: {', '.join(KNOWN)}.",
        hint="`extractive` needs no key, no download and no network.",
    )
