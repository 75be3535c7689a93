"""Fields out of documents: what a JSON Schema asks for, each value with the quote that carries it.

The model replies with data and evidence (which field, on which page, in which words). Data is validated against the
schema, and asked for once more, with the errors, where it does not conform. A long document is read in batches whose
data is put together: see `Merged`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from folioscope.domain import Citation, GivenPage
from folioscope.ports import VisionModel
from generation.citations import numbers
from generation.reading import Quoted, Read, Reading
from generation.running import synchronous
from generation.schemas import enveloped, partly, pointer, validator

INSTRUCTION = (
    "Extract from these pages what the schema of `data` asks for. What the pages don't say you leave out, or set to "
    "null where the schema allows null; never guess. For every value in `data` give `evidence`: `field`, its JSON "
    "Pointer within `data`, such as /items/0/price, the page, and the quote that it was taken from."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction(Read):
    """``data``: what was found. ``fields``: JSON Pointer of a value -> the number of its citation, from 1.

    ``problems``: where the data does not conform to the schema, also after a second try; none: it conforms.
    ``unsupported``: JSON Pointers of the values that no quote carries which stands on its page.
    """

    data: Any = None
    fields: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()


class Carried(Quoted):
    """Where the value of a field comes from."""

    field: str


async def extract_async(
    model: VisionModel,
    pages: Sequence[GivenPage],
    schema: Mapping[str, Any] | type[BaseModel],
    *,
    page_words: bool = True,
) -> Extraction:
    """What ``schema``, a JSON Schema or a pydantic model, asks for, out of all ``pages`` of a document.

    Raises `ConfigError` for a schema that is none, `ExtraMissing` where the extra ``extract`` is not installed,
    `QueryError` without pages, and what the model raises.
    """
    wanted = schema.model_json_schema() if isinstance(schema, type) else schema
    problems = validator(wanted)
    reading = Reading(model, pages, page_words=page_words)

    async def work(places: range) -> tuple[Any, list[Carried]]:
        asked = wanted if len(places) == len(pages) else partly(wanted)
        parts = [*await reading.shown(places), INSTRUCTION]
        reply, _ = await reading.ask_json(parts, enveloped(asked), _in_reply(validator(asked)))
        return _opened(reply)

    merged = Merged()
    for data, evidence in await reading.in_batches(work):
        merged.add(data, evidence)
    fields = _cited(reading, merged)
    return Extraction(
        data=merged.data,
        fields=fields,
        problems=tuple(problems(merged.data)),
        unsupported=tuple(
            path for path, _ in leaves(merged.data) if not carrier(path, fields, reading.evidence.citations)
        ),
        **reading.told(),
    )


extract = synchronous(extract_async)


def leaves(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is neither null, object nor list, with its JSON Pointer."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from leaves(value, path + pointer(key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from leaves(value, path + pointer(index))
    elif data is not None:
        yield path, data


def carrier(path: str, fields: Mapping[str, int], citations: Sequence[Citation]) -> int | None:
    """The citation that stands on its page and carries a value, its own or that of something it is part of."""
    found = (number for part, number in fields.items() if _is_in(part, path))
    return next((number for number in found if citations[number - 1].quote_status != "unverified"), None)


class Merged:
    """The data of one batch after the other, put together, and its evidence.

    Lists are joined, texts that are in them already not repeated. A value that earlier batches lack is taken. Where two
    differ the first is kept, and one of ``conflicts`` tells of the other.
    """

    def __init__(self) -> None:
        self.data: Any = None
        self.evidence: list[Carried] = []
        self.conflicts: list[str] = []

    def add(self, data: Any, evidence: Sequence[Carried]) -> None:
        """What a further batch gave."""
        came: dict[str, str | None] = {}  # JSON Pointer in ``data`` -> in all; None: it was not taken
        self.data = self._put(self.data, data, "", "", came)
        for entry in evidence:
            if (path := _followed(entry.field, came)) is not None:
                self.evidence.append(entry.model_copy(update={"field": path}))

    def _put(self, one: Any, two: Any, here: str, there: str, came: dict[str, str | None]) -> Any:
        came[here] = there
        if _is_empty(two):
            return two if one is None else one
        if _is_empty(one) or (one == two and not isinstance(one, list)):
            return two
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            return {**one, **{key: self._put(one.get(key), value, here + pointer(key), there + pointer(key), came)
                              for key, value in two.items()}}  # fmt: skip
        if isinstance(one, list) and isinstance(two, list):
            return self._joined(one, two, here, there, came)
        came[here] = None
        self.conflicts.append(f"{there or 'The whole'}: {one!r} was kept; later pages gave {two!r}.")
        return one

    def _joined(self, one: list[Any], two: list[Any], here: str, there: str, came: dict[str, str | None]) -> list[Any]:
        joined = list(one)
        for index, item in enumerate(two):
            known = isinstance(item, str) and item in joined
            came[here + pointer(index)] = there + pointer(joined.index(item) if known else len(joined))
            if not known:
                joined.append(item)
        return joined


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _followed(path: str, came: Mapping[str, str | None]) -> str | None:
    """Where the value at ``path`` came to lie; None where it was not taken."""
    known = path
    while known not in came:
        known = known.rpartition("/")[0]
    start = came[known]
    return None if start is None else start + path[len(known) :]


def _in_reply(problems: Callable[[Any], list[str]]) -> Callable[[Any], list[str]]:
    def found(reply: Any) -> list[str]:
        if not isinstance(reply, Mapping) or not isinstance(reply.get("evidence"), list) or "data" not in reply:
            return ["the reply is no object of `data` and `evidence`, a list"]
        return problems(reply["data"])

    return found


def _opened(reply: Any) -> tuple[Any, list[Carried]]:
    """Data and evidence of a reply; one that is only data, as a model may insist, has no evidence."""
    if not isinstance(reply, Mapping) or "data" not in reply:
        return reply, []
    entries = reply.get("evidence")
    carried = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            carried.append(Carried.model_validate(entry))
        except ValidationError:
            continue  # the field it was meant for will be among the unsupported
    paths = {path for path, _ in leaves(reply["data"])}
    return reply["data"], [each.model_copy(update={"field": _pointed(each.field, paths)}) for each in carried]


def _pointed(name: str, paths: set[str]) -> str:
    """The JSON Pointer that a model meant: it also writes ``items[0].price``, ``$.total`` or ``/data/total``."""
    path = name if name.startswith("/") else pointer(*re.findall(r"[^.\[\]$]+", name))
    inner = path.removeprefix("/data")
    return inner if inner != path and not any(_is_in(path, each) for each in paths) else path


def _is_in(part: str, path: str) -> bool:
    """Whether the value at ``path`` is the one at ``part`` or inside it."""
    return path == part or path.startswith(f"{part}/")


def _cited(reading: Reading, merged: Merged) -> dict[str, int]:
    """JSON Pointer -> number of the citation, the first that stands on its page where there are several."""
    reading.warnings += merged.conflicts
    values = dict(leaves(merged.data))
    fields: dict[str, int] = {}
    for entry in merged.evidence:
        if not any(_is_in(entry.field, path) for path in values):
            reading.warnings.append(f"Evidence for {entry.field}, which is not in the data, was dropped.")
            continue
        number, known = reading.evidence.cite(entry.as_quote()), fields.get(entry.field)
        if number and not (known and reading.evidence.is_verified(known)):
            fields[entry.field] = number
    for path, number in fields.items():
        reading.warnings += _other_number(path, values.get(path), reading.evidence.citations[number - 1].quote)
    return fields


def _other_number(path: str, value: Any, quote: str) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, int | float) or numbers(str(value)) <= numbers(quote):
        return []
    return [f"The number {value} at {path} does not stand in its quote: “{quote}”."]
