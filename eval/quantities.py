"""Numbers with their units, as answers have them: "$1,577 million", "12.5 %", "(3) km"."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "mn": 1e6, "bn": 1e9, "k": 1e3, "m": 1e6}
_UNITS = {
    "%": "% percent pct",
    "$": "$ dollar dollars usd",
    "€": "€ euro euros eur",
    "£": "£ pound pounds gbp",
    "¥": "¥ yen jpy",
    "km": "km kilometre kilometres kilometer kilometers",
    "m": "m metre metres meter meters",
    "cm": "cm centimetre centimetres centimeter centimeters",
    "mm": "mm millimetre millimetres millimeter millimeters",
    "mi": "mile miles",
    "kg": "kg kilogram kilograms",
    "g": "gram grams",
    "t": "tonne tonnes ton tons",
    "l": "l litre litres liter liters",
    "s": "s second seconds sec",
    "min": "min minute minutes",
    "h": "h hour hours hr hrs",
    "d": "day days",
    "w": "week weeks",
    "mo": "month months",
    "y": "year years yr yrs",
}
_NAMES = {name: unit for unit, names in _UNITS.items() for name in names.split()}
_QUANTITY = re.compile(
    r"(?P<before>[$€£¥])?\s?(?P<minus>[-−(])?(?P<again>[$€£¥])?(?P<number>\d[\d,]*(?:\.\d+)?|\.\d+)\)?"
    r"(?P<scale>\s?(?:thousand|million|billion|trillion|bn|mn)|[kKM](?![A-Za-z]))?"
    r"(?:\s?(?P<unit>[%$€£¥]|per\s?cent|[A-Za-z]+))?",
)


class Quantity(NamedTuple):
    """A number as it is written, what a word after it multiplies it with (1 without one), and its unit, if known."""

    number: float
    decimals: int
    scale: float
    unit: str


def quantities(text: str) -> list[Quantity]:
    """All numbers of a text in order; a number inside a word (FY2018, A4) is none."""
    found = []
    for match in _QUANTITY.finditer(text):
        start = match.start("number")
        if start and (text[start - 1].isalnum() or text[start - 1] in "._"):
            continue
        digits = match["number"].replace(",", "")
        negative = match["minus"] is not None and (match["minus"] != "-" or not _joined(text, match.start("minus")))
        value = -float(digits) if negative and not _bracketed_alone(match) else float(digits)
        unit = match["before"] or match["again"] or _unit(match["unit"])
        decimals = len(digits.partition(".")[2])
        found.append(
            Quantity(value, decimals, _SCALES.get((match["scale"] or "").strip().lower(), 1.0), _NAMES.get(unit, ""))
        )
    return found


def same(wanted: Quantity, said: Quantity) -> bool:
    """Whether both are the same quantity: within half of the last digit that ``wanted`` shows.

    Units must agree where both have one. A scale word counts only where both have one, too: tables leave it to their
    heading.
    """
    if wanted.unit and said.unit and wanted.unit != said.unit:
        return False
    scaled = wanted.scale != 1 and said.scale != 1
    factor = said.scale / wanted.scale if scaled else 1.0
    return math.isclose(wanted.number, said.number * factor, rel_tol=1e-9, abs_tol=0.5 * 10**-wanted.decimals)


def _unit(text: str | None) -> str:
    return re.sub(r"\s", "", (text or "").lower()).replace("percent", "%")


def _joined(text: str, at: int) -> bool:
    """Whether a hyphen joins two things (2015-2016, 5%-6%) and so is no minus."""
    return at > 0 and not text[at - 1].isspace() and text[at - 1] not in "($€£¥"


def _bracketed_alone(match: re.Match[str]) -> bool:
    """An opening bracket is a minus in accounts only where it closes right behind the number."""
    return match["minus"] == "(" and not match.string[match.end("number") :].startswith(")")
