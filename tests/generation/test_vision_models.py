"""Every vision-language model behind a network, the real SDKs against a server that speaks as the vendors do."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from folioscope.domain import Finish, Picture, Prompt, Turn
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
from folioscope.ports import VisionModel
from folioscope.settings import Settings
from generation.models import VENDORS, calling, open_vision_model
from generation.models import openai as openai_module
from tests.support.vendors import KEY, Asked, Refusal, Reply, Vendors

MODELS = {
    "anthropic": "anthropic:claude-sonnet-5-5",
    "openai": "openai:gpt-6.1-terra",
    "gemini": "gemini:gemini-3.8-flash",
    "ollama": "ollama:qwen3-vl:8b",
    "compatible": "openai:vision-1",
}
SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number"}},
    "required": ["total"],
    "additionalProperties": False,
}


def picture(width: int = 90, height: int = 120, kind: str = "jpeg", size: int = 0) -> Picture:
    """A file of ``size`` bytes, if that is more than the picture takes: what follows its end is ignored."""
    shades = np.random.default_rng(width).integers(0, 255, (height, width, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(shades).save(out, kind, **({"quality": 1} if kind == "jpeg" else {}))
    return Picture(out.getvalue().ljust(size, b"\0"), f"image/{kind}", width, height)  # type: ignore[arg-type]


PROMPT = Prompt(
    "You read pages.",
    ("Page 1:", picture(), "Page 2:", picture(120, 90, "png"), "What is the total?"),
    (Turn("user", "Whose report is it?"), Turn("assistant", "The harbour's.")),
    max_tokens=500,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Vendors]:
    with Vendors() as made:
        yield made


@pytest.fixture
def vendors(server: Vendors) -> Vendors:
    server.reply = "The total is 7."
    server.asked.clear()
    server.complaints.clear()
    return server


@pytest.fixture(params=MODELS)
def kind(request: pytest.FixtureRequest) -> str:
    package = VENDORS[MODELS[request.param].partition(":")[0]].package
    if package:
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'folioscope[models]'")
    return str(request.param)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries in a hundredth of the time; our own keys."""
    monkeypatch.setattr(calling, "FIRST_WAIT_S", 0.005)
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    for name in ("ANTHROPIC_AUTH_TOKEN", "OPENAI_BASE_URL", "GOOGLE_API_KEY", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def opened(kind: str, vendors: Vendors, monkeypatch: pytest.MonkeyPatch) -> Callable[..., VisionModel]:
    """``opened(model id, settings…)``: the model of this kind at the fake vendor's."""
    if kind == "openai":  # the fake stands for OpenAI's own server, not for another at another URL
        monkeypatch.setattr(openai_module, "OFFICIAL", "127.0.0.1")

    def make(model: str = "", **settings: Any) -> VisionModel:
        vendor, _, own = MODELS[kind].partition(":")
        given = {f"{vendor}_url": vendors.url(kind), "openai_structured": kind != "compatible", **settings}  # type: ignore[arg-type]
        return open_vision_model(f"{vendor}:{model or own}", Settings(**given))

    return make


def told(model: VisionModel, prompt: Prompt = PROMPT) -> tuple[str, Finish]:
    """The whole reply."""
    text, finish, error = heard(model, prompt)
    if error:
        raise error
    assert finish is not None
    return text, finish


def heard(model: VisionModel, prompt: Prompt = PROMPT) -> tuple[str, Finish | None, FolioscopeError | None]:
    """What came of a reply, and how it failed."""

    async def listen() -> tuple[str, Finish | None, FolioscopeError | None]:
        text, finish = "", None
        try:
            async for piece in model.generate(prompt):
                assert finish is None, "something came after the end"
                if isinstance(piece, Finish):
                    finish = piece
                else:
                    assert piece
                    text += piece
        except FolioscopeError as error:
            return text, finish, error
        return text, finish, None

    return asyncio.run(asyncio.wait_for(listen(), 30))


# --- what is sent, what comes back ------------------------------------------------------------------------------------


def test_a_reply_comes_with_its_end_and_its_cost(opened: Callable[..., VisionModel], kind: str) -> None:
    model = opened()
    text, finish = told(model)
    assert text == "The total is 7."
    assert finish.reason == "stop"
    assert finish.usage["input_tokens"] > 2 * 700  # two pictures
    assert finish.usage["output_tokens"] == 4
    assert model.name == MODELS[kind]


def test_the_prompt_arrives_as_the_vendor_wants_it(
    opened: Callable[..., VisionModel], vendors: Vendors, kind: str
) -> None:
    told(opened())
    assert vendors.complaints == []
    (asked,) = vendors.asked
    assert asked.system == PROMPT.system
    assert asked.history == [("user", "Whose report is it?"), ("assistant", "The harbour's.")]
    given = [part for part in PROMPT.parts if isinstance(part, Picture)]
    assert [(sent.data, sent.media_type) for sent in asked.pictures] == [(p.data, p.media_type) for p in given]
    if kind == "ollama":  # pictures stand beside the text there
        assert asked.text == "Page 1:\n(picture 1)\nPage 2:\n(picture 2)\nWhat is the total?"
    else:
        assert [type(part) is str for part in asked.parts] == [True, False, True, False, True]
        assert asked.texts == ["Page 1:", "Page 2:", "What is the total?"]
    assert asked.schema is None
    room = 0 if kind in ("ollama", "compatible") else calling.THINKING_TOKENS
    assert asked.max_tokens == PROMPT.max_tokens + room


def test_a_schema_is_enforced_or_told(opened: Callable[..., VisionModel], vendors: Vendors, kind: str) -> None:
    model = opened()
    vendors.reply = '{"total": 7}'
    assert told(model, Prompt("You read.", ("What?",), schema=SCHEMA))[0] == '{"total": 7}'
    (asked,) = vendors.asked
    assert model.structured == (kind != "compatible")
    if model.structured:
        assert asked.schema == SCHEMA
    else:
        assert asked.schema is None
        assert '"required": ["total"]' in asked.system
    told(model, Prompt("", ("What?",), schema={"type": "object", "properties": {"a": {"type": "string"}}}))
    assert vendors.complaints == []


def test_a_full_prompt_is_within_what_the_vendor_takes(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    model = opened(ollama_context=100_000)
    limits = model.limits
    page = picture(limits.long_edge * 3 // 4, limits.long_edge, size=limits.max_bytes)
    assert len(page.data) == limits.max_bytes
    told(model, Prompt("", (*[page] * limits.max_pictures, "What?")))
    assert len(vendors.asked[0].pictures) == limits.max_pictures


def test_pieces_are_told_as_they_come(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    go_on = threading.Event()
    vendors.reply = Reply("One two three four.", pieces=4, hold=go_on)

    async def listen() -> list[str | Finish]:
        async with aclosing(opened().generate(PROMPT)) as pieces:  # type: ignore[type-var]
            first = await anext(pieces)
            go_on.set()
            return [first, *[piece async for piece in pieces]]

    first, *rest = asyncio.run(asyncio.wait_for(listen(), 30))
    assert first == "One t"
    assert len(rest) == 4


def test_thoughts_are_no_text(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    vendors.reply = Reply("The total is 7.", thinks=True)
    assert told(opened())[0] == "The total is 7."


def test_a_reply_that_is_too_long_or_declined_says_so(
    opened: Callable[..., VisionModel], vendors: Vendors, kind: str
) -> None:
    vendors.reply = Reply("The total", finish="length")
    assert told(opened())[0] == "The total"
    assert told(opened())[1].reason == "length"
    vendors.reply = Reply("", finish="refusal")
    if kind != "ollama":  # it knows no such end
        assert told(opened())[1].reason == "refusal"


def test_several_at_once_and_one_loop_after_another(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    model = opened()
    vendors.reply = lambda asked: f"to {asked.texts[-1]}"

    async def listen(number: int) -> str:
        pieces = model.generate(Prompt("", (f"{number}",)))
        return "".join([piece async for piece in pieces if isinstance(piece, str)])

    async def several() -> list[str]:
        return await asyncio.gather(*map(listen, range(8)))

    for _ in range(2):
        assert asyncio.run(several()) == [f"to {number}" for number in range(8)]


def test_who_stops_listening_leaves_nothing_behind(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    go_on = threading.Event()
    vendors.reply = Reply("One two three four.", pieces=4, hold=go_on)

    async def listen() -> int:
        async with aclosing(opened().generate(PROMPT)) as pieces:  # type: ignore[type-var]
            assert await anext(pieces) == "One t"
        for _ in range(20):  # the loop closes the generators inside the SDKs, one a turn
            await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    try:
        assert asyncio.run(listen()) == 1
    finally:
        go_on.set()


# --- what may go wrong ------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[Refusal, type[FolioscopeError], int]] = [
    (Refusal("auth"), ModelAuth, 1),
    (Refusal("forbidden"), ModelAuth, 1),
    (Refusal("no_credit"), ModelAuth, 1),
    (Refusal("unknown_model"), ModelUnavailable, 1),
    (Refusal("no_vision"), ModelUnavailable, 1),
    (Refusal("too_large"), PromptTooLong, 1),
    (Refusal("prompt_too_long"), PromptTooLong, 1),
    (Refusal("invalid"), ModelError, 1),
    (Refusal("rate_limit", 0.01), ModelBusy, 3),
    (Refusal("rate_limit", 3600), ModelBusy, 1),
    (Refusal("overloaded"), ModelBusy, 3),
    (Refusal("server_error"), ModelError, 3),
    (Refusal("cut"), ModelGone, 3),
]


@pytest.mark.parametrize(("refusal", "error", "requests"), REFUSALS, ids=lambda value: getattr(value, "trouble", None))
def test_a_refusal_is_an_error_of_ours(
    opened: Callable[..., VisionModel],
    vendors: Vendors,
    refusal: Refusal,
    error: type[FolioscopeError],
    requests: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    vendors.reply = refusal
    model = opened()
    text, finish, raised = heard(model)
    assert (text, finish) == ("", None)
    assert type(raised) is error
    assert model.name in str(raised)
    assert raised.hint
    assert len(vendors.asked) == requests
    assert KEY not in str(raised) + repr(vars(model)) + caplog.text
    if isinstance(raised, ModelBusy):
        assert raised.retry_after == refusal.retry_after


def test_a_passing_failure_passes(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    first = [Refusal("overloaded"), Refusal("rate_limit", 0.02)]
    vendors.reply = lambda asked: first[asked.number - 1] if asked.number <= 2 else "The total is 7."
    assert told(opened())[0] == "The total is 7."
    assert len(vendors.asked) == 3


def test_retries_are_as_many_as_set(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    vendors.reply = Refusal("server_error")
    assert isinstance(heard(opened(model_retries=0))[2], ModelError)
    assert len(vendors.asked) == 1


BROKEN: list[tuple[Reply, type[FolioscopeError] | tuple[type[FolioscopeError], ...]]] = [
    (Reply("One two three.", cut_after=1), ModelError),
    (Reply("One two three.", ends_after=1), ModelError),
    (Reply("One two three.", error_after=1), ModelError),
    (Reply("One two three.", garbage_after=1), ModelError),
    (Reply("One two three.", between_s=5), ModelTimeout),
]


@pytest.mark.parametrize(("reply", "error"), BROKEN, ids=["cut", "ends", "error", "garbage", "silent"])
def test_what_had_come_before_a_failure_is_kept_and_told_once(
    opened: Callable[..., VisionModel], vendors: Vendors, reply: Reply, error: type[FolioscopeError]
) -> None:
    vendors.reply = reply
    text, finish, raised = heard(opened(model_timeout_s=0.3))
    assert text == "One t"
    assert finish is None
    assert isinstance(raised, error)
    assert len(vendors.asked) == 1


def test_a_failure_before_the_first_piece_is_tried_again(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    vendors.reply = lambda asked: Reply("One two three.", cut_after=0 if asked.number == 1 else None)
    assert told(opened())[0] == "One two three."


def test_a_page_of_another_program_is_an_error(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    vendors.reply = Refusal("not_json")
    assert isinstance(heard(opened())[2], ModelError)


def test_silence_ends(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    vendors.reply = Reply("late", before_s=5)
    assert type(heard(opened(model_timeout_s=0.2))[2]) is ModelTimeout
    assert len(vendors.asked) == 1


def test_a_reply_that_never_ends_is_ended(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    vendors.reply = Reply("a" * 1000, pieces=1000, between_s=0.02)
    text, finish, raised = heard(opened(model_timeout_s=5, model_total_s=0.5))
    assert 0 < len(text) < 100
    assert finish is None
    assert type(raised) is ModelTimeout


def test_no_server_at_all(opened: Callable[..., VisionModel], kind: str) -> None:
    vendor = MODELS[kind].partition(":")[0]
    model = opened(**{f"{vendor}_url": "http://127.0.0.1:9", "model_retries": 1})
    error = heard(model)[2]
    assert type(error) is ModelGone
    assert ("ollama serve" if kind == "ollama" else "URL") in error.hint


@pytest.mark.parametrize("url", ["nonsense", "http://", "http://[::1", "ftp://x"])
def test_a_url_that_is_none(opened: Callable[..., VisionModel], kind: str, url: str) -> None:
    vendor = MODELS[kind].partition(":")[0]
    assert isinstance(heard(opened(**{f"{vendor}_url": url, "model_retries": 0}))[2], ModelError)


def test_models_that_are_not_there_or_see_nothing(opened: Callable[..., VisionModel], vendors: Vendors) -> None:
    missing = heard(opened("no-such-model"))[2]
    assert type(missing) is ModelUnavailable
    assert "no-such-model" in str(missing)
    blind = heard(opened("text-only"))[2]
    assert type(blind) is ModelUnavailable
    assert "does not take images" in str(blind)
    assert told(opened("text-only"), Prompt("", ("Words alone?",)))[0] == "The total is 7."


def test_a_prompt_that_is_too_long_is_an_error_and_never_cut(
    opened: Callable[..., VisionModel], vendors: Vendors
) -> None:
    assert type(heard(opened(), Prompt("", ("word " * 200_000,)))[2]) is PromptTooLong
    assert vendors.asked == []


def test_a_wrong_key_is_named_and_not_shown(
    opened: Callable[..., VisionModel], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind in ("ollama", "compatible"):
        pytest.skip("asks for no key")
    variable = VENDORS[MODELS[kind].partition(":")[0]].keys[0]
    monkeypatch.setenv(variable, "sk-another")
    error = heard(opened())[2]
    assert type(error) is ModelAuth
    assert variable in error.hint
    assert "sk-another" not in str(error)


def test_ollama_is_asked_once_what_the_model_sees(vendors: Vendors) -> None:
    model = open_vision_model(MODELS["ollama"], Settings(ollama_url=vendors.url("ollama"), ollama_context=9000))

    def reply(asked: Asked) -> str:
        return f"{asked.body['options']['num_ctx']} {asked.body['truncate']}"

    vendors.reply = reply
    assert told(model)[0] == "9000 False"
    assert told(model)[0] == "9000 False"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "The decoder prompt (length 12324) is longer than the maximum model length of 8192."),
        (400, "At most 1 image(s) may be provided in one prompt."),
        (429, "Request too large for gpt-6 on tokens per min (TPM): Limit 30000, Requested 30601."),
        (500, "The number of tokens to keep is greater than the context length."),
    ],
)
def test_whatever_fewer_pages_would_cure_is_a_prompt_that_is_too_long(status: int, message: str) -> None:
    count = 0

    async def ask() -> AsyncGenerator[str | Finish]:
        nonlocal count
        count += 1
        raise calling.Failure(message, status)
        yield ""

    with pytest.raises(PromptTooLong):
        asyncio.run(drained(calling.reply(ask, calling.Server("m"), calling.Patience(1, 5, 2))))
    assert count == 1


async def drained(pieces: AsyncIterator[str | Finish]) -> list[str | Finish]:
    return [piece async for piece in pieces]


@pytest.mark.parametrize("error", [httpx2.DecodingError("no gzip"), httpx2.TooManyRedirects("round and round")])
def test_a_server_that_speaks_another_protocol_is_an_error_of_ours(error: Exception) -> None:
    async def ask() -> AsyncGenerator[str | Finish]:
        raise error
        yield ""

    with pytest.raises(ModelError, match=str(error)):
        asyncio.run(drained(calling.reply(ask, calling.Server("m"), calling.Patience(1, 5, 0))))


@pytest.mark.parametrize(("said", "seconds"), [("2.5", 2.5), ("-1", 0.0), ("nan", None), ("inf", None), ("soon", None)])
def test_a_time_to_wait_is_a_time(said: str, seconds: float | None) -> None:
    assert calling.retry_after({"retry-after": said}) == seconds


def test_a_key_that_no_header_can_hold_is_named_and_not_shown(
    kind: str, opened: Callable[..., VisionModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind not in ("anthropic", "openai", "gemini"):
        return
    variable = VENDORS[kind].keys[0]
    monkeypatch.setenv(variable, "schl\u00fcssel")
    with pytest.raises(ModelUnavailable, match=variable) as failed:
        opened()
    assert "schl" not in str(failed.value)


@pytest.mark.parametrize("given", [Reply("word " * 40, pieces=8, error_after=4), Reply("word " * 40, pieces=8)])
def test_the_event_loop_ends_without_a_complaint(
    opened: Callable[..., VisionModel], vendors: Vendors, caplog: pytest.LogCaptureFixture, given: Reply
) -> None:
    vendors.reply = given

    async def listen() -> None:
        async with aclosing(opened(model_retries=0).generate(PROMPT)) as pieces:  # type: ignore[type-var]
            async for _ in pieces:
                if given.error_after is None:
                    break

    with caplog.at_level(logging.ERROR, "asyncio"), suppress(FolioscopeError):
        asyncio.run(listen())
    assert not caplog.records
