"""Questions with the truth about them, in one shape whatever they were written in.

`load` reads our own ``questions.jsonl``, feedback that the service exports, folders in BEIR's and ViDoRe's layout,
MMDocIR's annotations, and folders of these kinds on the Hugging Face hub. docs/evaluation.md describes each format.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from eval.tables import html_table
from folioscope.domain import Box
from folioscope.errors import EvaluationError


class PageName(NamedTuple):
    """A page as people name it: a document by its file name (with or without the ending) or id, a number from 1."""

    document: str
    page: int


class TrueRegion(NamedTuple):
    """Where on a page the answer stands."""

    page: PageName
    box: Box


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what is true of it.

    ``pages``: those that answer it, with grades >= 1 (2 answers better than 1); none for an ``unanswerable`` one.
    ``document``: the one that it is about, where it is about one; the figures "inside the document" need it.
    ``answers``: wordings, each right by itself; an answer of several parts has " | " between them. ``labels``: what
    figures can be broken down by, such as domain or language.
    """

    id: str
    text: str
    pages: Mapping[PageName, int] = field(default_factory=dict)
    document: str | None = None
    answers: tuple[str, ...] = ()
    regions: tuple[TrueRegion, ...] = ()
    unanswerable: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The document that the question depends on: questions about one document are not independent."""
        return self.document or next((page.document for page in self.pages), self.id)


@dataclass(frozen=True)
class Dataset:
    """Questions, at least one; no two have the same id. ``notes``: what was left out on loading, for people.

    Raises `EvaluationError` where there is no question or an id comes twice.
    """

    name: str
    questions: tuple[Question, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.questions:
            raise EvaluationError(f"{self.name} has no question.", hint=" ".join(self.notes) or "Is the file empty?")
        twice = [name for name, count in Counter(question.id for question in self.questions).items() if count > 1]
        if twice:
            raise EvaluationError(
                f"{self.name} has {len(twice)} ids more than once: {_some(twice)}.",
                hint="Give each question an id of its own.",
            )

    def __len__(self) -> int:
        return len(self.questions)

    def __iter__(self) -> Iterator[Question]:
        return iter(self.questions)

    @cached_property
    def hash(self) -> str:
        """64 hexadecimal digits; the same for the same questions and truth, whatever order, format and labels."""
        rows = sorted((_row(replace(q, labels={})) for q in self.questions), key=lambda row: str(row["id"]))
        return hashlib.sha256(json.dumps(rows, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    @property
    def documents(self) -> frozenset[str]:
        """The names of all documents that the questions speak of."""
        named = {question.document for question in self.questions if question.document}
        return frozenset(named | {page.document for question in self.questions for page in question.pages})

    def of(self, documents: Iterable[str]) -> Dataset:
        """The questions about these documents (see `Question.group`) alone. Raises `EvaluationError`: none is."""
        wanted = frozenset(documents)
        return Dataset(self.name, tuple(q for q in self.questions if q.group in wanted), self.notes)

    def save(self, path: str | Path) -> None:
        """Write the questions in our own format, one JSON object a line."""
        lines = (json.dumps(_row(question), ensure_ascii=False) for question in self.questions)
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _repr_html_(self) -> str:
        rows = [[q.text, q.document or "", _numbers(q), "; ".join(q.answers)] for q in self.questions[:20]]
        more = f"<p>… and {len(self) - 20} more</p>" if len(self) > 20 else ""
        head = f"<p><b>{escape(self.name)}</b>: {len(self)} questions, {len(self.documents)} documents</p>"
        return head + html_table(["question", "document", "pages", "answer"], rows) + more


def load(source: str | Path) -> Dataset:
    """The dataset that ``source`` names: a file, a folder, or ``hub:ORG/NAME`` with ``@REVISION`` where wanted.

    Raises `EvaluationError`: not there, of no known format, a row that can't be understood (which, and why), an id that
    comes twice, no question with a relevant page.
    """
    from eval import formats

    text = str(source)
    if text.startswith("hub:"):
        return formats.read_folder(formats.fetched(text.removeprefix("hub:")), name=text)
    path = Path(source).expanduser()
    if path.is_dir():
        return formats.read_folder(path, name=path.name)
    if not path.is_file():
        raise EvaluationError(f"There is no dataset {text}.", hint="Name a file, a folder, or hub:ORG/NAME.")
    return formats.read_file(path)


def one_line(rows: Sequence[Question], name: str, notes: Sequence[str] = ()) -> Dataset:
    """A dataset of these questions, of which one at least has pages or is unanswerable. Raises `EvaluationError`."""
    if rows and not any(question.pages or question.unanswerable for question in rows):
        raise EvaluationError(f"No question of {name} has a relevant page.", hint="Are the qrels empty?")
    return Dataset(name, tuple(rows), tuple(notes))


def _row(question: Question) -> dict[str, Any]:
    """As it is written down; what is empty is left out, the pages never."""
    row = asdict(question)
    row["question"] = row.pop("text")
    row["pages"] = [[*page, grade] for page, grade in sorted(question.pages.items())]
    row["regions"] = [{"document": r.page.document, "page": r.page.page, "box": list(r.box)} for r in question.regions]
    return {name: value for name, value in row.items() if value or name == "pages"}


def _numbers(question: Question) -> str:
    return "none: unanswerable" if question.unanswerable else ", ".join(str(page.page) for page in question.pages)


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
