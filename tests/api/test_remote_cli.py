"""The command line through a server: one that is named, and one on this machine that has the data folder open."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pymupdf
import pytest
from PIL import Image

from api.cli.main import main, server_first
from folioscope.errors import DataFolderBusy
from ingest.folder import DataFolder

PROGRAM = [sys.executable, "-W", "error", "-c", "from api.cli.main import main; main()"]
QUESTION = "How many years does the warranty last?"


class Shown(NamedTuple):
    """What a command has printed."""

    stdout: str
    stderr: str


Run = Callable[..., Shown]


def pdf(path: Path, *pages: str) -> Path:
    with pymupdf.open() as made:
        for text in pages:
            made.new_page().insert_text((72, 100), text)
        made.save(path)
    return path


class Served(NamedTuple):
    """A data folder that a process serves, the key that it made, where it answers."""

    folder: Path
    key: str
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """From the lock, as commands find it."""
        return str(json.loads((self.folder / "lock").read_text())["url"])


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("served")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("FOLIOSCOPE_")},
        "FOLIOSCOPE_DATA_DIR": str(folder / "data"),
        "FOLIOSCOPE_CONFIG": str(folder / "none.toml"),
        "FOLIOSCOPE_CHANNELS": "lexical",
        "FOLIOSCOPE_MODEL": "extractive",
    }


@pytest.fixture(scope="module")
def served(environment: dict[str, str]) -> Iterator[Served]:
    """A server that wants a key, in a process of its own."""
    folder = Path(environment["FOLIOSCOPE_DATA_DIR"])
    make = [*PROGRAM, "keys", "create", "test", "--scope", "admin"]
    key = subprocess.run(make, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    serve = [*PROGRAM, "serve", "--port", "0", "--allow-host", "docs.example", "-q"]
    with subprocess.Popen(serve, env=environment) as process:
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            if (folder / "lock").exists() and b'"url"' in (folder / "lock").read_bytes():
                break
            time.sleep(0.05)
        yield Served(folder, key, process)
        process.send_signal(signal.SIGINT)


@pytest.fixture
def run(
    served: Served, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command; ``code``: the exit code expected."""
    for name in [name for name in os.environ if name.startswith("FOLIOSCOPE_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        if name.startswith("FOLIOSCOPE_"):
            monkeypatch.setenv(name, value)

    def command(*arguments: str | Path, code: int = 0) -> Shown:
        monkeypatch.setattr(sys, "argv", ["folioscope", *map(str, arguments)])
        try:
            main()
            ended: object = 0
        except SystemExit as end:
            ended = end.code or 0
        shown = Shown(*capsys.readouterr())
        assert ended == code, shown
        assert "Traceback" not in shown.stderr
        return shown

    return command


@pytest.fixture
def there(served: Served, run: Run) -> Run:
    """The same with --url and --api-key."""

    def command(*arguments: str | Path, code: int = 0) -> Shown:
        return run("--url", served.url, "--api-key", served.key, *arguments, code=code)

    return command


@pytest.fixture(scope="module")
def terms(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document that is on the server, taken in by a command of its own."""
    path = pdf(tmp_path_factory.mktemp("files") / "terms.pdf", "The warranty lasts two years.", "Nothing else.")
    environment = {**os.environ, "FOLIOSCOPE_URL": served.url, "FOLIOSCOPE_API_KEY": served.key}
    ingest = [*PROGRAM, "ingest", str(path), "--json", "--meta", "year=2025"]
    done = subprocess.run(ingest, env=environment, capture_output=True, text=True, check=True)
    row = json.loads(done.stdout)
    assert (row["filename"], row["status"], row["pages"], row["source"]) == ("terms.pdf", "ready", 2, str(path))
    assert re.match(r"1 ready: 2 pages read in [\d.]+ s", done.stderr)
    return path


def test_a_server_that_has_the_folder_open_is_gone_through_without_a_key(run, served, terms) -> None:
    shown = run("docs", "ls")
    assert "terms.pdf" in shown.stdout
    assert shown.stderr == f"a server has the data folder open: going through {served.url}\n"
    assert (served.folder / "lock").stat().st_mode & 0o777 == 0o600
    quiet = run("ask", QUESTION, "-q")
    assert "The warranty lasts two years. [1]" in quiet.stdout
    assert quiet.stderr == ""
    assert run("ask", QUESTION, str(terms)).stderr.count("going through") == 1


def test_a_server_that_is_named_wants_its_key(run, there, served, terms) -> None:
    assert "--api-key" in run("--url", served.url, "docs", "ls", code=6).stderr
    assert "terms.pdf" in there("docs", "ls").stdout
    behind = run("search", "warranty", f"--url={served.url}", "--api-key", served.key)
    assert behind.stdout.startswith("1. terms.pdf, page 1  (lexical 1)")
    assert behind.stderr == ""
    assert "can't be reached" in run("--url", "http://127.0.0.1:9", "docs", "ls", code=5).stderr
    assert "two places" in there("docs", "ls", "--data-dir", served.folder, code=2).stderr
    assert "no server" in there("doctor", code=2).stderr


def test_answers_and_images(there, terms, tmp_path) -> None:
    shown = there("ask", QUESTION, "--show-pages", "--stream", "--save-image", tmp_path / "a.png")
    assert "The warranty lasts two years. [1]" in shown.stdout
    assert "[1] terms.pdf, page 1 (exact)" in shown.stdout
    assert "reading terms.pdf, page 1" in shown.stderr
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    assert max(pixels.shape) in (1399, 1400, 1401)
    assert (pixels == (255, 232, 64)).all(axis=2).any()  # the marker on white paper
    whole = json.loads(there("ask", QUESTION, "-d", "terms.pdf", "--meta", "year=2025", "--json").stdout)
    assert (whole["status"], whole["citations"][0]["page"]) == ("answered", 1)
    found = json.loads(there("search", "warranty", "-k", "1", "--json").stdout)
    assert [hit["page"] for hit in found["hits"]] == [1]
    here = there("ask", QUESTION, "--model", "extractive", "--dry-run")
    assert "Nothing would be sent" in here.stdout


def test_a_conversation(there, terms, monkeypatch) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{QUESTION}\nAnd then?\n"))
    shown = there("chat")
    assert "The warranty lasts two years. [1]" in shown.stdout
    assert "can't rewrite a follow-up" in shown.stderr


def test_files_that_fail_are_listed_and_the_others_go_on(there, tmp_path) -> None:
    good = pdf(tmp_path / "good.pdf", "A page about herons.")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    (tmp_path / "empty.pdf").write_bytes(b"")
    shown = there("ingest", tmp_path, "--json", "-c", "birds", code=4)
    rows = {row["filename"]: row for row in map(json.loads, shown.stdout.splitlines())}
    assert {name: row["status"] for name, row in rows.items()} == {
        "good.pdf": "ready",
        "broken.pdf": "failed",
        "empty.pdf": "failed",
    }
    assert rows["broken.pdf"]["error"]["code"] == "document_corrupt"
    assert rows["empty.pdf"]["error"]["code"] == "document_empty"
    assert "2 failed" in shown.stderr
    assert "failed: empty.pdf" in shown.stderr
    assert json.loads(there("ingest", good, "-c", "birds", "--json").stdout)["status"] == "duplicate"
    pdf(good, "A page about storks.")
    changed = json.loads(there("ingest", good, "-c", "birds", "--json").stdout)
    assert (changed["id"], changed["version"]) == (rows["good.pdf"]["id"], 2)
    assert "does not exist" in there("ingest", tmp_path / "none.pdf", code=3).stderr


def test_looking_after_documents_and_collections(there, tmp_path) -> None:
    made = json.loads(there("collections", "create", "kept", "--channel", "lexical", "--json").stdout)
    assert (made["name"], made["channels"]) == ("kept", ["lexical"])
    there("ingest", pdf(tmp_path / "blank.pdf", ""), "-c", "kept", "-q")
    (row,) = [each for each in json.loads(there("collections", "ls", "--json").stdout) if each["name"] == "kept"]
    assert row["documents"] == 1
    shown = json.loads(there("docs", "show", "blank.pdf", "-c", "kept", "--json").stdout)
    assert (shown["pages"], shown["page_notes"]) == (1, [])
    assert "Did you mean 'blank.pdf'?" in there("docs", "show", "blanc.pdf", "-c", "kept", code=3).stderr
    assert "deleted blank.pdf" in there("docs", "rm", "blank.pdf", "-c", "kept").stderr
    assert json.loads(there("docs", "ls", "-c", "kept", "--json").stdout) == []
    there("collections", "rm", "kept", "--yes")
    assert "no collection 'kept'" in there("docs", "ls", "-c", "kept", code=3).stderr


def test_documents_are_read_again(there, terms) -> None:
    row = json.loads(there("docs", "reingest", "terms.pdf", "--json").stdout)
    assert (row["filename"], row["status"], row["version"], row["pages"]) == ("terms.pdf", "ready", 2, 2)


def test_jobs(there, terms, tmp_path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    before = [each["id"] for each in json.loads(there("jobs", "ls", "--json").stdout)]
    there("ingest", tmp_path / "broken.pdf", "-q", code=4)
    (broken,) = [each for each in json.loads(there("jobs", "ls", "--json").stdout) if each["id"] not in before]
    assert (broken["kind"], broken["collection"], broken["failed"]) == ("ingest", "default", 1)
    again = json.loads(there("jobs", "retry", broken["id"], "--json").stdout)
    assert (again["retried"], again["failed"], again["outstanding"]) == (1, 1, 0)
    assert there("jobs", "cancel", broken["id"]).stderr == "0 documents given up\n"


def test_channels_and_keys(there, run, served, terms) -> None:
    there("collections", "create", "two", "--channel", "lexical")
    (lexical,) = json.loads(there("channels", "status", "-c", "two", "--json").stdout)
    assert (lexical["key"], lexical["active"], lexical["problem"]) == ("lexical", True, None)
    assert lexical["fingerprint"]["kind"] == "sparse"
    assert there("channels", "rm", "lexical", "-c", "two", code=1).stderr != ""
    assert there("channels", "rm", "visual", "-c", "two", code=3).stderr != ""
    made = json.loads(there("keys", "create", "reader", "-c", "two", "--json").stdout)
    reader = ("--url", served.url, "--api-key", made["key"])
    assert json.loads(run(*reader, "collections", "ls", "--json").stdout)[0]["name"] == "two"
    assert "scope" in run(*reader, "ingest", terms, "-c", "two", code=6).stderr
    there("keys", "revoke", made["id"])
    assert "unknown, expired or revoked" in run(*reader, "collections", "ls", code=6).stderr
    (shown,) = [key for key in json.loads(there("keys", "ls", "--json").stdout) if key["id"] == made["id"]]
    assert (shown["valid"], shown["revoked"]) == (False, True)
    assert f"{made['id']}\treader\tread\ttwo\tnever\tended" in there("keys", "ls").stdout
    assert "no image channel" in there("docs", "duplicates", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("collections", "rebuild"), "Rebuilding indexes can't be had over HTTP"),
        (("jobs", "watch"), "the server does so by itself"),
        (("ingest", "PATH", "--ocr", "off"), "--ocr can't be chosen over HTTP"),
        (("ask", QUESTION, "--cache"), "--cache can't be chosen over HTTP"),
        (("ask", QUESTION, "--dry-run"), "--dry-run can't be had over HTTP"),
        (("ingest", "PATH", "--channel", "semantic"), "without the channel semantic"),
    ],
)
def test_what_a_server_does_not_offer_is_said(there, terms, arguments, why) -> None:
    named = [str(terms) if each == "PATH" else each for each in arguments]
    assert why in there(*named, code=2).stderr


def test_options_behind_a_command_are_moved_before_it() -> None:
    assert server_first(["search", "q", "--url", "u", "-k", "1", "--api-key=k"]) == [
        *("--url", "u", "--api-key=k"),
        *("search", "q", "-k", "1"),
    ]
    assert server_first(["search", "--", "--url", "u"]) == ["search", "--", "--url", "u"]
    assert server_first(["search", "--url"]) == ["--url", "search"]


def test_a_server_that_has_died_leaves_nothing_that_misleads(environment, tmp_path) -> None:
    mine = {**environment, "FOLIOSCOPE_DATA_DIR": str(tmp_path / "data")}
    lock = tmp_path / "data" / "lock"
    with subprocess.Popen([*PROGRAM, "serve", "--port", "0", "-q"], env=mine) as process:
        end = time.monotonic() + 120
        while time.monotonic() < end and not (lock.exists() and b'"url"' in lock.read_bytes()):
            time.sleep(0.05)
        process.kill()
    assert b'"url"' in lock.read_bytes()  # it had no time to take it back
    holder = os.open(lock, os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(DataFolderBusy) as busy:  # another has just taken the lock and not yet said who it is
        DataFolder(tmp_path / "data")
    assert (busy.value.url, busy.value.secret) == ("", "")
    os.close(holder)
    done = subprocess.run([*PROGRAM, "docs", "ls"], env=mine, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (3, done.stderr)
    assert "going through" not in done.stderr
    assert b'"url"' not in lock.read_bytes()


def test_the_lock_says_where_its_holder_answers_as_long_as_it_does(tmp_path) -> None:
    folder = DataFolder(tmp_path)
    with folder.announced("http://127.0.0.1:1", "secret"), pytest.raises(DataFolderBusy) as busy:
        DataFolder(tmp_path)
    assert (busy.value.url, busy.value.secret) == ("http://127.0.0.1:1", "secret")
    assert "secret" not in str(busy.value)
    with pytest.raises(DataFolderBusy) as busy:
        DataFolder(tmp_path)
    assert (busy.value.url, busy.value.secret) == ("", "")
    folder.close()


def test_ctrl_c_says_that_the_server_goes_on(there, terms, monkeypatch) -> None:
    from api.client import Client

    sent = Client.upload

    def upload(self: Client, *arguments: object, **options: object) -> object:
        done = sent(self, *arguments, **options)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGINT)
        return done

    monkeypatch.setattr(Client, "upload", upload)
    before = signal.getsignal(signal.SIGINT)
    try:
        shown = there("ingest", terms, pdf(terms.with_name("left.pdf"), "Left."), "--json", code=130)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [json.loads(line)["status"] for line in shown.stdout.splitlines()] == ["duplicate", "queued"]
    assert shown.stderr.endswith("stopped; the server reads what it has; the same command hands in the rest\n")
