"""Two runs side by side: what differs, how sure that is, and which questions flipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Literal

from eval.records import SCOPES, TITLES, Asked, Run
from eval.significance import Significance, paired
from eval.tables import html_table, markdown_table
from folioscope.errors import EvaluationError


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure in both runs, over the ``questions`` that have it in both; ``scope``: a key of `TITLES`."""

    scope: str
    measure: str
    questions: int
    before: float
    after: float
    sure: Significance


@dataclass(frozen=True, slots=True)
class Flip:
    """A question whose first relevant page entered the first k or left them; ranks from 1, None where not listed."""

    scope: Literal["whole", "inside"]
    won: bool
    before: Asked
    after: Asked
    rank_before: int | None
    rank_after: int | None


@dataclass(frozen=True)
class Comparison:
    """What `compare` gives back: ``before`` is the base, a positive difference speaks for ``after``."""

    before: Run
    after: Run
    differences: tuple[Difference, ...]
    flips: tuple[Flip, ...]
    notes: tuple[str, ...]

    def table(self) -> tuple[list[str], list[list[object]]]:
        """Head and rows, one a measure."""
        head = ["", "", self.before.name, self.after.name, "difference", "95 %", "p", "questions"]
        return head, [
            [
                TITLES[row.scope],
                row.measure,
                row.before,
                row.after,
                f"{row.sure.difference:+.3f}",
                f"{row.sure.low:+.3f} to {row.sure.high:+.3f}",
                f"{row.sure.p:.4f}",
                row.questions,
            ]
            for row in self.differences
        ]

    def flip_table(self) -> tuple[list[str], list[list[object]]]:
        """Head and rows, one a question that flipped; won ones first."""
        head = ["", "question", "document", self.before.name, self.after.name]
        return head, [
            [
                f"{'won' if flip.won else 'lost'}, {TITLES[flip.scope]}",
                flip.after.text,
                flip.after.group,
                flip.rank_before or "-",
                flip.rank_after or "-",
            ]
            for flip in self.flips
        ]

    def markdown(self) -> str:
        """Both tables and the notes."""
        said = "".join(f"- {note}\n" for note in self.notes)
        tables = (
            f"{markdown_table(*self.table())}\n\n### Questions that flipped\n\n{markdown_table(*self.flip_table())}\n"
        )
        return f"{said}\n{tables}" if said else tables

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return said + html_table(*self.table()) + html_table(*self.flip_table())


def compare(before: Run, after: Run) -> Comparison:
    """The measures that both runs have, with tests that are paired, and the questions that flipped.

    Raises `EvaluationError` where the runs asked different questions.
    """
    if before.dataset.hash != after.dataset.hash:
        raise EvaluationError(
            f"{before.name} asked {before.dataset.name} ({before.dataset.hash[:12]}), {after.name} asked "
            f"{after.dataset.name} ({after.dataset.hash[:12]}): their figures can't be compared.",
            hint="Run the same questions on both.",
        )
    earlier = {asked.id: asked for asked in before.questions}
    pairs = [(earlier[asked.id], asked) for asked in after.questions]
    columns = {scope: [(_scores(a, scope), _scores(b, scope), b.group) for a, b in pairs] for scope in TITLES}
    differences = [
        found
        for scope, rows in columns.items()
        for measure in dict.fromkeys(name for _, scores, _ in rows for name in scores)
        if (found := _difference(scope, measure, rows))
    ]
    return Comparison(before, after, tuple(differences), tuple(_flips(pairs, after.k)), tuple(_notes(before, after)))


def _scores(asked: Asked, scope: str) -> Mapping[str, float | None]:
    if scope == "answer":
        return asked.answer.scores if asked.answer else {}
    ranked = asked.whole if scope == "whole" else asked.inside
    return ranked.scores | ranked.regions if ranked else {}


def _difference(
    scope: str, measure: str, rows: list[tuple[Mapping[str, float | None], Mapping[str, float | None], str]]
) -> Difference | None:
    both = [
        (a, b, group)
        for before, after, group in rows
        if (a := before.get(measure)) is not None and (b := after.get(measure)) is not None
    ]
    if not both:
        return None
    sure = paired([b - a for a, b, _ in both], [group for *_, group in both])
    size = len(both)
    return Difference(scope, measure, size, sum(a for a, *_ in both) / size, sum(b for _, b, _ in both) / size, sure)


def _flips(pairs: list[tuple[Asked, Asked]], k: int) -> list[Flip]:
    flips = []
    for scope in SCOPES:
        for before, after in pairs:
            if not before.ranked(scope) or not after.ranked(scope):
                continue
            ranks = _first_rank(before, scope), _first_rank(after, scope)
            was, became = (rank is not None and rank <= k for rank in ranks)
            if was != became:
                flips.append(Flip(scope, became, before, after, *ranks))
    return sorted(flips, key=lambda flip: not flip.won)


def _first_rank(asked: Asked, scope: Literal["whole", "inside"]) -> int | None:
    ranked = asked.ranked(scope)
    hits = ranked.hits if ranked else ()
    return next((rank for rank, hit in enumerate(hits, 1) if hit in asked.relevant), None)


def _notes(before: Run, after: Run) -> list[str]:
    """What else differs, so that nobody takes it for the cause looked for, and what the tests rest on."""
    said = []
    documents = {asked.group for asked in after.questions}
    said.append(
        f"Tests are paired over {len(after.questions)} questions of {len(documents)} documents; "
        "p and intervals take documents as independent, questions where there are fewer than ten documents."
    )
    if before.collection.hash != after.collection.hash:
        said.append("The documents, the channels searched or their encoders differ.")
    if before.code != after.code:
        said.append(f"The code differs: {before.code}, {after.code}.")
    names = sorted(before.settings.keys() | after.settings.keys())
    changed = [name for name in names if before.settings.get(name) != after.settings.get(name)]
    said += [f"{name}: {before.settings.get(name)} -> {after.settings.get(name)}" for name in changed]
    return said
