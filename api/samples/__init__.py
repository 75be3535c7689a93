"""The bundled sample documents: an annual report, a manual, a scanned letter, and questions about them.

Made by scripts/make_samples.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

__all__ = ["SampleQuestion", "folder", "questions"]


@dataclass(frozen=True, slots=True)
class SampleQuestion:
    """A question with where its answer stands; ``document`` and ``page`` are None where nothing answers it."""

    question: str
    document: str | None
    page: int | None
    answer: str


@contextmanager
def folder() -> Iterator[Path]:
    """The folder with the sample PDFs, also where the package is not unpacked on disk."""
    with resources.as_file(resources.files(__name__)) as path:
        yield path


def questions() -> list[SampleQuestion]:
    """All sample questions; the first is the one that `folioscope demo` asks."""
    rows = json.loads(resources.files(__name__).joinpath("questions.json").read_text(encoding="utf-8"))["questions"]
    return [SampleQuestion(row["question"], row.get("document"), row.get("page"), row["answer"]) for row in rows]
