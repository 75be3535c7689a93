"""What every resource goes over the wire with. Boxes are [x0, y0, x1, y1], 0–1, origin top left, on the upright page;
pages count from 1; times are RFC 3339 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Generic, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from folioscope import domain, errors

Box = domain.Box
Whole = Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Tag = Annotated[bool, Field(strict=True)] | Whole | Real | Annotated[str, Field(max_length=1000)]
Metadata = Annotated[dict[Annotated[str, Field(min_length=1, max_length=100)], Tag], Field(max_length=100)]
QUOTED = 300
"""Characters of a quote in a link."""
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""What is stored: Postgres takes no NUL."""
PRINTED = r"^[^\x00-\x1f\x7f]*$"
"""A line of text: no control character."""

Item = TypeVar("Item", bound=BaseModel)


class Given(BaseModel):
    """What a request brings: a field that nobody knows is an error, not ignored."""

    model_config = ConfigDict(extra="forbid")


class Listed(BaseModel, Generic[Item]):
    """A stretch of a list; what comes behind it is asked for with ``after=last_id``."""

    object: Literal["list"] = "list"
    data: list[Item]
    has_more: bool = False
    last_id: str | None = None


class Failure(BaseModel):
    """Why a document or a page could not be read."""

    code: str
    message: str


class Progress(BaseModel):
    """Pages."""

    done: int
    total: int


def image_url(key: domain.PageKey) -> str:
    """Where the page's image is, for as long as this version is."""
    return f"/v1/documents/{key.document_id}/pages/{key.number}/image?version={key.version}"


def view_url(cited: domain.Citation) -> str:
    """Where people look at a citation. The fragment stays in their browser: the page, and a quote that was found on it,
    so much of it that a link stays short.
    """
    words = cited.quote if cited.quote_status in ("exact", "fuzzy") else ""
    if len(words) > QUOTED:
        words = words[:QUOTED].rpartition(" ")[0]
    return f"/d/{cited.document.id}#page={cited.page}" + (f"&cite={quote(words, safe='')}" if words else "")


def failure(problem: domain.Problem | None) -> Failure | None:
    """A problem as the catalog has it; one whose words name a path or a fault of ours is told in general."""
    if problem is None:
        return None
    if problem.code in ("internal_error", errors.Unreadable.code):
        from api import problems  # and with it FastAPI, which clients do without

        general = problems.PLAIN[errors.Unreadable] if problem.code == errors.Unreadable.code else "The server failed."
        return Failure(code=problem.code, message=general)
    return Failure(code=problem.code, message=problem.message)


def problem_in(given: Failure | None) -> domain.Problem | None:
    """From the wire."""
    return None if given is None else domain.Problem(given.code, given.message)


def progress(coverage: domain.Coverage) -> Progress:
    """Pages done of pages there are."""
    return Progress(done=coverage.done, total=coverage.total)


def coverage_in(given: Mapping[str, Progress]) -> dict[str, domain.Coverage]:
    """From the wire, by channel."""
    return {name: domain.Coverage(share.done, share.total) for name, share in given.items()}


def notes(reservations: tuple[str, ...]) -> list[str]:
    """What a search or answer says of itself; why a channel was left out may name folders of the server."""
    return [note.partition(" was left out: ")[0] + " was left out." if " was left out: " in note else note
            for note in reservations]  # fmt: skip
