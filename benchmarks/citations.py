"""Are true quotes found, however damaged, and is nothing drawn that is not there? On generated pages.

    python -m benchmarks.citations [--json] [--cases 10000] [--seed 0]

*Found*: the quote is ``exact`` or ``fuzzy`` and the words that are drawn are those it was taken from (or the same words
elsewhere on the page). *Drawn*: a quote that is not on the page got a box. An absent quote whose letters do stand on
the page by accident is made anew. The *curves*: how many damaged words a quote of 30 bears; and what a threshold on
plain similarity (rapidfuzz's partial ratio, in letters) would do on the same cases. *Times*: one quote of 30 words on
a page of 1,000 that is seen for the first time.

How cases are made stands in benchmarks/quote_cases.py.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from rapidfuzz import fuzz

from benchmarks.common import parser, show
from benchmarks.quote_cases import (
    ABSENT,
    BEYOND,
    TRUE,
    Case,
    Maker,
    babble,
    can_be_misread,
    column,
    damaged,
    misread,
    stretch,
)
from generation.citations import verify

THRESHOLDS = (70, 75, 80, 85, 90, 95, 98, 100)
DAMAGE = (1, 2, 4, 6, 8, 10, 11, 12)


def letters(text: str) -> str:
    """Without white space and case: the oracle's view, apart from the folding that is measured."""
    return "".join(char for char in text.casefold() if char.isalnum())


def made(make: Maker, rng: random.Random) -> Case:
    """A case; one whose absent quote is on the page after all is made anew."""
    while True:
        case = make(rng)
        if case.there is not None or letters(case.quote) not in letters(" ".join(case.words.texts)):
            return case


def judged(case: Case) -> tuple[bool, bool]:
    """Whether something was drawn; whether it was the right words."""
    match = verify(case.quote, case.words)
    drawn = [i for start, stop in match.ranges for i in range(start, stop)]
    if not match.boxes or case.there is None:
        return bool(match.boxes), False
    texts = case.words.texts
    there = letters("".join(texts[i] for i in drawn))
    elsewhere = there in (letters(case.quote), letters("".join(texts[i] for i in case.there)))
    return True, elsewhere or sorted(drawn) == sorted(case.there)


def counted(
    makers: Mapping[str, Maker], each: int, rng: random.Random
) -> tuple[dict[str, Any], list[tuple[float, bool]]]:
    """For each kind how many there were, were drawn and were drawn right; and every case's plain similarity."""
    rows: dict[str, Any] = {}
    similar: list[tuple[float, bool]] = []
    for kind, make in makers.items():
        cases = [made(make, rng) for _ in range(each)]
        results = [judged(case) for case in cases]
        rows[kind] = {
            "cases": each,
            "drawn": sum(drawn for drawn, _ in results),
            "found": sum(right for _, right in results),
        }
        for case in cases:
            ratio = fuzz.partial_ratio(letters(case.quote), letters("".join(case.words.texts)))
            similar.append((ratio, case.there is not None))
    return rows, similar


def share(rows: Mapping[str, Any], what: str) -> float:
    return sum(row[what] for row in rows.values()) / sum(row["cases"] for row in rows.values())


def by_threshold(similar: Sequence[tuple[float, bool]]) -> dict[str, dict[str, float]]:
    """What a threshold on similarity would draw, of the true quotes and of the absent ones."""
    true = np.array([ratio for ratio, there in similar if there])
    absent = np.array([ratio for ratio, there in similar if not there])
    return {
        str(at): {"true": round(float((true >= at).mean()), 4), "absent": round(float((absent >= at).mean()), 4)}
        for at in THRESHOLDS
    }


def by_damage(each: int, rng: random.Random) -> dict[str, float]:
    """Share of quotes of 30 words that are found, by how many of them are misread on the page."""
    return {str(count): round(sum(judged(damaged(count)(rng))[1] for _ in range(each)) / each, 4) for count in DAMAGE}


def times(rng: random.Random) -> dict[str, dict[str, float]]:
    """Milliseconds of processor time for each outcome: median and 95th centile of 300."""
    taken: dict[str, list[float]] = {"exact": [], "two words misread": [], "one word exchanged": [], "elsewhere": []}
    for kind, found in taken.items():
        for _ in range(300):
            text = babble(rng, 1000)
            at = stretch(rng, text, 30)
            quote, there = [text[i] for i in at], list(text)
            if kind == "two words misread":
                for i in [i for i in at if can_be_misread(text[i])][:2]:
                    there[i] = misread(rng, text[i])
            if kind == "one word exchanged":
                quote[10] = "zeppelin"
            if kind == "elsewhere":
                quote = babble(rng, 30)
            words = column(there)
            started = time.process_time()
            verify(" ".join(quote), words)
            found.append((time.process_time() - started) * 1000)
    return {
        kind: {"median": round(median(found), 2), "p95": round(float(np.percentile(found, 95)), 2)}
        for kind, found in taken.items()
    }


def table(figures: Mapping[str, Any]) -> None:
    for group, what in (("true", "found"), ("absent", "drawn"), ("beyond", "drawn")):
        print(f"\n{group}")
        for kind, row in figures[group].items():
            print(f"  {kind:<38}{row['cases']:>6}  {what} {row[what]:>5}  ({row[what] / row['cases']:.2%})")
    for name in ("found of true", "absent drawn", "by words misread of 30", "by similarity", "ms"):
        print(f"{name:<24} {figures[name]}")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--cases", type=int, default=10_000, help="how many, over all kinds of true and absent quotes")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    rng = random.Random(given.seed)
    each = -(-given.cases // (len(TRUE) + len(ABSENT)))
    true, similar = counted(TRUE, each, rng)
    absent, other = counted(ABSENT, each, rng)
    beyond, _ = counted(BEYOND, each, rng)
    figures = {
        "cases": each * (len(TRUE) + len(ABSENT)),
        "found of true": round(share(true, "found"), 4),
        "absent drawn": sum(row["drawn"] for row in absent.values()),
        "true": true,
        "absent": absent,
        "beyond": beyond,
        "by words misread of 30": by_damage(200, rng),
        "by similarity": by_threshold([*similar, *other]),
        "ms": times(rng),
        "seed": given.seed,
    }
    show(figures, given.json, partial(table, figures))


if __name__ == "__main__":
    main()
