"""What the models behind a network share: patience with bounds, and errors that say what to do next.

A model says how one request is made, as an async iterator of pieces, and raises `Failure` with the server's own words.
`reply` does the rest: it waits only so long for each piece and for the whole, tries again where that may help and
nothing has been told yet, and turns failures into the errors of ours.

The vendors' SDKs could retry too, but wait as long as a server asks for, which may be hours; theirs is turned off.
"""

from __future__ import annotations

import asyncio
import email.utils
import importlib
import math
import os
import random
import re
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpx2
from pydantic import SecretStr

from folioscope.domain import Finish
from folioscope.errors import (
    FolioscopeError,
    ModelAuth,
    ModelBusy,
    ModelError,
    ModelGone,
    ModelTimeout,
    ModelUnavailable,
    PromptTooLong,
)
from folioscope.settings import Settings
from generation.models import KEYLESS

THINKING_TOKENS = 16_384
"""Models of today think before they write, and their limit on tokens counts the thoughts: this much is added to it."""

CONNECT_S = 10.0
FIRST_WAIT_S = 0.5  # before the second attempt; doubled each time
LONGEST_WAIT_S = 20.0  # where a server asks for more, a person had better decide

BROKEN, SILENT, NONSENSE = 0, -1, -2  # in place of an HTTP status: no connection, no piece in time, not understood
AGAIN = (BROKEN, 408, 409, 429, 500, 502, 503, 504, 529)

_TOO_LONG = re.compile(
    r"prompt is too long|context[_ ](length|window|size)|maximum (context|prompt|model length|number of tokens)"
    r"|token count|too many (input )?tokens|input (is too long|length)|at most \d+ image"
    r"|request too large for|tokens must be reduced",  # more than an account may send in a minute: waiting is vain
    re.IGNORECASE,
)
_NO_PICTURES = re.compile(
    r"(image|vision|multimodal).{0,60}(not|n't|only|un)\s?(support|enabled|available|accept)"
    r"|(not|n't) (support|accept).{0,30}(image|vision|multimodal)|missing data required for image",
    re.IGNORECASE,
)
_NO_SCHEMA = re.compile(r"response_format|json_schema", re.IGNORECASE)
_NO_CREDIT = re.compile(r"credit balance|insufficient_quota|billing|spend limit", re.IGNORECASE)
_BAD_KEY = re.compile(r"api[ _-]?key not valid|API_KEY_INVALID", re.IGNORECASE)


class Failure(Exception):
    """A request that failed. ``message``: in the server's words. ``status``: of HTTP, or one of the above."""

    def __init__(self, message: str, status: int = BROKEN, retry_after: float | None = None) -> None:
        super().__init__(" ".join("".join(ch if ch.isprintable() else " " for ch in message).split())[:300].rstrip("."))
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Server:
    """Who is asked. ``name``: the model, such as ``openai:gpt``. ``key``: the variable with the key, empty: none.
    ``help``: what to do where it can't be reached.
    """

    name: str
    key: str = ""
    help: str = "Check the network, and the URL in `folioscope config show`."


@dataclass(frozen=True, slots=True)
class Patience:
    """``piece_s``: seconds for the first piece, and between two. ``total_s``: for all. ``retries``: more attempts."""

    piece_s: float
    total_s: float
    retries: int

    @classmethod
    def of(cls, settings: Settings) -> Patience:
        """As set."""
        return cls(settings.model_timeout_s, settings.model_total_s, settings.model_retries)


async def reply(
    ask: Callable[[], AsyncGenerator[str | Finish]], server: Server, patience: Patience
) -> AsyncIterator[str | Finish]:
    """What ``ask`` yields, its last `Finish` included; empty pieces are signs of life and are not passed on.

    A failure that may pass is tried again, unless a piece has been told: then it would be told twice. Raises what
    `explain` makes of the last failure.
    """
    deadline = time.monotonic() + patience.total_s
    attempt, told = 0, False
    while True:
        try:
            async with aclosing(_timed(ask(), patience, deadline)) as pieces:
                async for piece in pieces:
                    if piece:
                        told = True
                        yield piece
            return
        except Failure as failure:
            wait = _wait(failure, attempt)
            late = wait > LONGEST_WAIT_S or time.monotonic() + wait > deadline
            if told or late or attempt >= patience.retries or not _may_pass(failure):
                raise explain(failure, server) from failure
        attempt += 1
        await asyncio.sleep(wait)


async def _timed(
    pieces: AsyncGenerator[str | Finish], patience: Patience, deadline: float
) -> AsyncGenerator[str | Finish]:
    """``pieces``, each within its time; whatever goes wrong is a `Failure`, an end without a `Finish` too."""
    async with aclosing(pieces):
        while True:
            left = deadline - time.monotonic()
            try:
                async with asyncio.timeout(min(patience.piece_s, left)):
                    piece = await anext(pieces)
            except StopAsyncIteration:
                raise Failure("the reply broke off before its end") from None
            except TimeoutError:
                limit = f"{patience.piece_s:g} s of silence" if left > patience.piece_s else f"{patience.total_s:g} s"
                raise Failure(f"given up after {limit}", SILENT) from None
            except (httpx2.RequestError, httpx2.InvalidURL) as error:
                raise Failure(str(error) or type(error).__name__) from error
            except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
                raise Failure(f"{type(error).__name__}: {error}", NONSENSE) from error
            yield piece
            if isinstance(piece, Finish):
                return


def _wait(failure: Failure, attempt: int) -> float:
    """Seconds before the next attempt; the random part keeps clients from marching in step."""
    if failure.retry_after is not None:
        return failure.retry_after
    return FIRST_WAIT_S * 2.0**attempt * random.uniform(0.8, 1.2)  # noqa: S311


def _may_pass(failure: Failure) -> bool:
    return failure.status in AGAIN and not _is_used_up(failure) and not _is_too_long(failure)


def _is_too_long(failure: Failure) -> bool:
    """Also with a status of another meaning: 429, or 500 where the error is an event of the stream."""
    return failure.status == 413 or (400 <= failure.status <= 500 and bool(_TOO_LONG.search(str(failure))))


def _is_used_up(failure: Failure) -> bool:
    """An account without credit says so without a time to wait; some speak of billing for a passing limit too."""
    return failure.retry_after is None and failure.status >= 400 and bool(_NO_CREDIT.search(str(failure)))


def explain(failure: Failure, server: Server) -> FolioscopeError:
    """The error of ours for a failure; the vendor's words are quoted, but for keys, which some repeat."""
    name, status, said = server.name, failure.status, f"It says: {failure}"
    if status == SILENT:
        hint = (
            "`model_timeout_s` and `model_total_s` are the limits; a local model may need longer for its first piece."
        )
        return ModelTimeout(f"{name} did not go on: {failure}.", hint=hint)
    if status == BROKEN:
        return ModelGone(f"The connection to {name} failed: {failure}.", hint=server.help)
    if status == NONSENSE:
        return ModelError(f"{name} answered what is not understood here: {failure}.", hint=server.help)
    if _is_used_up(failure):
        return ModelAuth(f"The account for {name} is used up.", hint=said)
    if status == 401 or _BAD_KEY.search(str(failure)):
        hint = f"Check the key in the variable {server.key}." if server.key else "Does the server ask for a key?"
        return ModelAuth(f"{name} does not accept the key.", hint=hint)
    if status in (402, 403):
        return ModelAuth(f"The key does not allow to use {name}.", hint=said)
    if _is_too_long(failure):
        return PromptTooLong(f"The pages are too much for {name}.", hint=f"Ask with fewer pages (`--top-k`). {said}")
    if 400 <= status < 600 and _NO_PICTURES.search(str(failure)):
        return ModelUnavailable(f"{name} does not take images.", hint=f"Choose a vision-language model. {said}")
    return _by_status(failure, server, said)


def _by_status(failure: Failure, server: Server, said: str) -> FolioscopeError:
    name, status = server.name, failure.status
    if status == 404:
        return ModelUnavailable(f"{name} is not there.", hint=f"Check the model's name and the URL. {said}")
    if status in (429, 503, 529):
        wait = failure.retry_after
        hint = f"Try again in {wait:g} seconds." if wait else "Try again in a moment."
        return ModelBusy(f"{name} is busy (status {status}).", hint=f"{hint} {said}", retry_after=wait)
    if status in (400, 422) and _NO_SCHEMA.search(str(failure)):
        hint = "A server without response_format needs the setting `openai_structured` to be false"
        return ModelError(f"{name} can't be held to a schema.", hint=f"{hint} (FOLIOSCOPE_OPENAI_STRUCTURED). {said}")
    if status in (408, 504):
        return ModelTimeout(f"{name} took too long (status {status}).", hint=said)
    return ModelError(f"{name} failed with status {status}.", hint=said)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait, as a number or a date; None where it does not say, or says no time."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        wait = float(value)
        return max(0.0, wait) if math.isfinite(wait) else None
    except ValueError:
        date = email.utils.parsedate_tz(value)
        return None if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())


@lru_cache(maxsize=1)
def ssl_context() -> ssl.SSLContext:
    """Made once: reading the certificates takes 40 ms, and each request has a client of its own."""
    return httpx2.create_ssl_context()


@asynccontextmanager
async def connection() -> AsyncGenerator[httpx2.AsyncClient]:
    """A client for one request, so that nothing outlives its event loop. Waiting is limited by `reply` alone.

    Responses are closed here: an SDK that gives up in the middle of one leaves it open, and the event loop would then
    complain at its end.
    """
    begun: list[httpx2.Response] = []

    async def note(response: httpx2.Response) -> None:
        begun.append(response)

    client = httpx2.AsyncClient(
        timeout=TIMEOUT, verify=ssl_context(), follow_redirects=True, event_hooks={"response": [note]}
    )
    async with client:
        try:
            yield client
        finally:
            for response in begun:
                await response.aclose()


TIMEOUT = httpx2.Timeout(None, connect=CONNECT_S)


def imported(package: str, extra: str) -> Any:
    """A vendor's package. Raises `ModelUnavailable` naming the extra that brings it."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ModelUnavailable(
            f"Models of {extra} need a package that is not installed ({error.name}).",
            hint=f"pip install 'folioscope[{extra}]'. {KEYLESS}",
        ) from None


def key_in(*names: str, extra: str) -> SecretStr:
    """The key in the first of the variables that has one. Raises `ModelUnavailable` where none has, or what is none."""
    for name in names:
        key = os.environ.get(name, "").strip()
        if not (key.isascii() and key.isprintable()):  # no header can hold it
            raise ModelUnavailable(
                f"What is in {name} is no key: it has letters that no key has.", hint="Copy the key anew."
            )
        if key:
            return SecretStr(key)
    raise ModelUnavailable(
        f"There is no key for {extra}: the variable {names[0]} is empty.",
        hint=f"Set {names[0]}, and pip install 'folioscope[{extra}]'. {KEYLESS}",
    )
