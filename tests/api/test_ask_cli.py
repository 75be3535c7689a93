"""Asking a vision-language model from the command line: the real SDK, a vendor's wire format."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pymupdf
import pytest

from api.cli.main import main
from folioscope.settings import Settings
from ingest import Library
from tests.support.vendors import MODELS, Asked, Refusal, Reply, Vendors

MODEL = f"openai:{MODELS[1]}"
QUESTION = "How long is the warranty?"


class Shown(NamedTuple):
    """What a command has printed."""

    stdout: str
    stderr: str


Run = Callable[..., Shown]


def reply(*segments: tuple[str, list[tuple[int, str]]]) -> str:
    return json.dumps(
        {
            "segments": [
                {"text": text, "quotes": [{"page": n, "quote": quote, "figure": False} for n, quote in quotes]}
                for text, quotes in segments
            ]
        }
    )


TWO_YEARS = reply(("It is two years.", [(1, "The warranty lasts two years")]), ("I like it.", []))


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    pytest.importorskip("openai", reason="needs the extra: pip install 'folioscope[openai]'")
    with Vendors(reply=TWO_YEARS) as server:
        yield server
        assert server.complaints == []


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one document."""
    folder = tmp_path_factory.mktemp("data")
    with pymupdf.open() as pdf:
        for text in ("The warranty lasts two years.", "Nothing else is promised."):
            pdf.new_page().insert_text((72, 100), text)
        pdf.save(folder / "terms.pdf")
    with Library(settings=Settings(data_dir=folder, channels=("lexical",))) as opened:
        opened.ingest([folder / "terms.pdf"])
    return folder


@pytest.fixture
def run(
    tmp_path: Path, data: Path, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command on that folder; ``code``: the exit code expected."""
    for name in [name for name in os.environ if name.startswith("FOLIOSCOPE_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "FOLIOSCOPE_DATA_DIR": str(data),
        "FOLIOSCOPE_CONFIG": str(tmp_path / "folioscope.toml"),
        "FOLIOSCOPE_MODEL": MODEL,
        "FOLIOSCOPE_OPENAI_URL": vendors.url("openai"),
        "FOLIOSCOPE_MODEL_RETRIES": "0",
        "OPENAI_API_KEY": vendors.key,
    }.items():
        monkeypatch.setenv(name, value)

    def command(*arguments: str | Path, code: int = 0, typed: bytes = b"") -> Shown:
        monkeypatch.setattr(sys, "argv", ["folioscope", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed), "utf-8"))
        with pytest.raises(SystemExit) as ended:
            main()
        shown = Shown(*capsys.readouterr())
        assert (ended.value.code or 0) == code, shown
        return shown

    return command


def test_an_answer_streamed_and_whole(run: Run, vendors: Vendors) -> None:
    done = run("ask", QUESTION, "--stream", "--show-pages")
    assert done.stdout == (
        "It is two years. [1] I like it. [unsupported]\n"
        "\n"
        "[1] terms.pdf, page 1 (exact): “The warranty lasts two years”\n"
    )
    assert "reading terms.pdf, page 1" in done.stderr
    assert f"model: {MODEL}" in done.stderr
    assert "input tokens" in done.stderr
    asked = vendors.asked[-1]
    assert len(asked.pictures) == len([line for line in done.stderr.splitlines() if line.startswith("reading")])
    found = json.loads(run("ask", QUESTION, "--json").stdout)
    assert (found["status"], found["citations"][0]["moved"]) == ("partial", False)
    assert [segment["citations"] for segment in found["segments"]] == [[1], []]
    assert "[unsupported]" in run("ask", QUESTION).stdout
    run("ask", QUESTION, "--stream", "--json", code=2)


def test_what_is_not_there_and_what_is_declined(run: Run, vendors: Vendors) -> None:
    vendors.reply = reply(("It is ten years.", [(1, "The warranty lasts ten years")]))
    assert run("ask", QUESTION).stdout.startswith("The pages that were found don't say.\n  looked at: terms.pdf")
    assert "\nNone of this stands on the pages" in run("ask", QUESTION, "--stream").stdout
    vendors.reply = '{"segments": []}'
    assert run("ask", QUESTION, "--stream").stdout.startswith("The pages that were found don't say.")
    vendors.reply = Reply("", finish="refusal")
    assert run("ask", QUESTION).stdout == "The model declined to answer.\n"
    assert json.loads(run("ask", QUESTION, "--json").stdout)["status"] == "blocked"


def test_a_cut_reply_and_a_vendor_that_fails(run: Run, vendors: Vendors) -> None:
    vendors.reply = Reply(TWO_YEARS, pieces=8, cut_after=4)
    done = run("ask", QUESTION, "--stream")
    assert done.stdout.startswith("It is two years.")
    assert "broke off" in done.stderr
    vendors.reply = Refusal("overloaded")
    assert "folioscope: " in run("ask", QUESTION, "--stream", code=5).stderr


def test_a_dry_run_calls_nobody(run: Run, vendors: Vendors) -> None:
    shown = json.loads(run("ask", QUESTION, "--dry-run", "--json").stdout)
    assert vendors.asked == []
    assert shown["model"] == MODEL
    assert (shown["pages"][0]["document"]["filename"], shown["pages"][0]["page"]) == ("terms.pdf", 1)
    assert shown["images"] == len(shown["pages"])
    assert shown["image_bytes"] > 1000
    run("ask", QUESTION)
    sent = vendors.asked[-1].pictures
    size = sum(len(picture.data) for picture in sent)
    assert size == pytest.approx(shown["image_bytes"], rel=0.01)  # the second time pages come from the cache, as JPEGs
    assert 0.5 < shown["input_tokens"] / (sum(p.width * p.height for p in sent) / 750) < 3
    assert "terms.pdf, page 1" in run("ask", QUESTION, "--dry-run").stdout
    run("ask", " ", "--dry-run", code=2)
    assert "Nothing would be sent" in run("ask", QUESTION, "--dry-run", "--model", "extractive").stdout


@pytest.mark.parametrize("model", ["anthropic:claude-sonnet-5-5", "openai:gpt-6.1-terra", "gemini:gemini-3.8-flash"])
def test_a_dry_run_needs_no_key(run: Run, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "FOLIOSCOPE_OPENAI_URL"):
        monkeypatch.delenv(name, raising=False)
    shown = json.loads(run("ask", QUESTION, "--dry-run", "--json", "--model", model).stdout)
    assert shown["images"] == len(shown["pages"])
    assert "_API_KEY" in run("ask", QUESTION, "--model", model, code=5).stderr


def test_a_server_without_structured_output_is_told_how_to_go_on(
    run: Run, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLIOSCOPE_OPENAI_URL", vendors.url("compatible"))
    assert "FOLIOSCOPE_OPENAI_STRUCTURED" in run("ask", QUESTION, "--model", "openai:vision-1", code=5).stderr
    vendors.complaints.clear()
    monkeypatch.setenv("FOLIOSCOPE_OPENAI_STRUCTURED", "false")
    assert "It is two years." in run("ask", QUESTION, "--model", "openai:vision-1").stdout


def test_the_cache_answers_the_second_time(run: Run, vendors: Vendors) -> None:
    run("ask", QUESTION, "--cache")
    done = run("ask", QUESTION, "--cache", "--stream")
    assert len(vendors.asked) == 1
    assert done.stdout.startswith("It is two years. [1]")
    assert "taken from the cache" in done.stderr
    run("ask", QUESTION)
    assert len(vendors.asked) == 2


def test_a_deleted_document_takes_the_replies_about_it_along(run: Run, data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    for command in (("docs", "rm", "terms.pdf"), ("collections", "rm", "default", "-y")):
        run("ask", QUESTION, "--cache", "--data-dir", copy)
        kept = copy / "answers.sqlite"
        assert b"lasts two years" in kept.read_bytes()
        run(*command, "--data-dir", copy)
        assert b"lasts two years" not in kept.read_bytes()
        shutil.rmtree(copy)
        shutil.copytree(data, copy)


def test_a_conversation(run: Run, vendors: Vendors) -> None:
    def answers(asked: Asked) -> str | Refusal:
        if "The new question:" in asked.text:
            return "Does the warranty break?" if "break" in asked.text else "How long is the warranty for parts?"
        return Refusal("overloaded") if "break" in asked.text else TWO_YEARS

    vendors.reply = answers
    done = run("chat", typed=f"{QUESTION}\n\nbreak, please\nAnd for parts?\n".encode())
    assert done.stdout.count("It is two years. [1]") == 2
    assert "searched: How long is the warranty for parts?" in done.stderr
    assert done.stderr.count("searched: ") == 2
    assert done.stderr.count("folioscope: ") == 1
    done = run("chat", "--model", "extractive", "-q", typed=b"What lasts two years, \xe9?\nAnd what is promised?\n")
    assert "can't rewrite a follow-up" in done.stderr


def test_nothing_that_steers_a_terminal_is_printed_while_it_comes(run: Run, vendors: Vendors) -> None:
    vendors.reply = reply(
        ("It is \x1b]0;title\x07two\x9b2J \u202eyears.\nReally.", [(1, "The warranty lasts two years")])
    )
    shown = run("ask", QUESTION, "--stream")
    assert shown.stdout.startswith("It is ]0;titletwo2J years.\nReally. [1]\n")
    assert {ch for ch in shown.stdout + shown.stderr if not ch.isprintable()} == {"\n"}
