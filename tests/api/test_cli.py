"""The command line as people use it: a process of its own, its output, its exit code."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image, ImageDraw

from api.cli import options, output
from api.cli.answering import show
from folioscope import __version__
from folioscope.domain import Answer, DocumentRef, PageHit, Segment
from folioscope.settings import Settings
from tests.support.commands import Starter

MakePdf = Callable[..., Path]
PROGRAM = [sys.executable, "-W", "error", "-c", "from api.cli.main import main; main()"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a command on a data folder of the test's own."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("FOLIOSCOPE_")},
        "FOLIOSCOPE_DATA_DIR": str(tmp_path / "data"),
        "FOLIOSCOPE_CONFIG": str(tmp_path / "folioscope.toml"),
        "FOLIOSCOPE_CHANNELS": "lexical",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }


@pytest.fixture
def run(environment: dict[str, str], starter: Starter) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command; ``code`` is the exit code expected."""

    def command(*arguments: str | Path, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = starter.run(*arguments, env={**environment, **more})
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return command


@pytest.fixture
def interrupt(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command and press Ctrl-C, once or more ``times``, ``when`` its data folder says so."""

    def command(*arguments: str | Path, when: Callable[[Path], bool], times: int = 1, **more: str):
        program = [*PROGRAM, *map(str, arguments)]
        pipe = subprocess.PIPE
        with subprocess.Popen(program, env={**environment, **more}, stdout=pipe, stderr=pipe, text=True) as process:
            deadline = time.monotonic() + 60
            while not when(tmp_path / "data") and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            for _ in range(times):
                process.send_signal(signal.SIGINT)
                time.sleep(1 if times > 1 else 0)
            out, said = process.communicate(timeout=60)
        assert "Traceback" not in said, said
        return subprocess.CompletedProcess(program, process.returncode, out, said)

    return command


@pytest.fixture
def make_scan(tmp_path: Path) -> Callable[[str], Path]:
    """A PDF of one page that is a picture of words."""

    def make(name: str) -> Path:
        image = Image.new("L", (800, 1000), 255)
        ImageDraw.Draw(image).text((100, 100), "words in a picture", fill=0)
        image.save(tmp_path / name)
        return tmp_path / name

    return make


def test_from_a_folder_to_a_cited_answer(run, make_pdf: MakePdf, tmp_path: Path) -> None:
    make_pdf(
        "docs/tides.pdf",
        ["The tide tables hang in the harbour office.", "The lighthouse burns forty litres of paraffin."],
    )
    (tmp_path / "docs/broken.pdf").write_bytes(b"%PDF-1.7 nonsense")
    done = run("ingest", tmp_path / "docs", "--json", code=4)
    rows = {row["filename"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert rows["tides.pdf"]["status"] == "ready"
    assert rows["tides.pdf"]["pages"] == 2
    assert rows["broken.pdf"]["error"]["code"] == "document_corrupt"
    assert "broken.pdf" in done.stderr
    assert "pages/s" in done.stderr

    found = json.loads(run("search", "paraffin lighthouse", "-k", "1", "--json").stdout)
    (hit,) = found["hits"]
    assert set(found) >= {"query", "hits", "timings"}
    assert (hit["rank"], hit["document"]["filename"], hit["page"]) == (1, "tides.pdf", 2)
    assert set(hit) == {"rank", "document", "page", "score", "scores", "snippet", "regions"}
    assert all(0 <= edge <= 1 for region in hit["regions"] for edge in region["box"])

    image = tmp_path / "page.png"
    question = "How much paraffin does the lighthouse burn?"
    reply = json.loads(run("ask", question, "--json", "--save-image", image).stdout)
    assert reply["status"] == "answered"
    (citation,) = reply["citations"]
    assert (citation["document"]["filename"], citation["page"], citation["quote_status"]) == ("tides.pdf", 2, "exact")
    assert "forty litres" in citation["quote"]
    assert image.read_bytes().startswith(b"\x89PNG")
    shown = run("ask", question).stdout
    assert "forty litres" in shown
    assert "tides.pdf, page 2" in shown
    assert "page 2" in run("search", "paraffin").stdout


def test_asking_files_directly(run, make_pdf: MakePdf) -> None:
    path = make_pdf("recipe.pdf", ["The dough rests for nine hours."])
    other = make_pdf("other.pdf", ["The dough rests for two minutes."])
    run("ask", "How long does the dough rest?", other)
    done = run("ask", "How long does the dough rest?", path, "--json")
    reply = json.loads(done.stdout)
    assert {citation["document"]["filename"] for citation in reply["citations"]} == {"recipe.pdf"}


def test_looking_after_documents(run, make_pdf: MakePdf) -> None:
    run("ingest", make_pdf("a.pdf", ["One page."]), "--meta", "year=2024")
    (document,) = json.loads(run("docs", "ls", "--json").stdout)
    assert (document["filename"], document["status"], document["metadata"]) == ("a.pdf", "ready", {"year": 2024})
    assert document["id"] in run("docs", "ls").stdout
    shown = json.loads(run("docs", "show", "a.pdf", "--json").stdout)
    assert shown["coverage"] == {"lexical": {"done": 1, "total": 1}}
    assert "sha256" in run("docs", "show", document["id"]).stdout
    run("docs", "reingest", "a.pdf")
    assert json.loads(run("docs", "show", "a.pdf", "--json").stdout)["version"] == 2
    run("docs", "reingest", code=2)
    (first, second) = json.loads(run("jobs", "ls", "--json").stdout)
    assert {first["kind"], second["kind"]} == {"ingest", "reingest"}
    assert first["id"] in run("jobs", "ls").stdout
    run("jobs", "watch")
    run("jobs", "cancel", "job_none", code=3)
    run("docs", "rm", "a.pdf")
    assert json.loads(run("docs", "ls", "--json").stdout) == []
    assert "Did you mean" not in run("docs", "rm", "a.pdf", code=3).stderr


def test_a_new_collection_is_named_when_it_is_made(run, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["Words."])
    assert "made the collection 'default'" in run("ingest", path).stderr
    assert "did you mean 'default'?" in run("ingest", path, "-c", "defalt").stderr
    assert "made the collection" not in run("ingest", path).stderr
    alone = run("ingest", path, "-c", "seen", "--channel", "semantic").stderr
    assert "`folioscope channels add lexical -c seen`" in alone
    assert "there is no page to show" in run("search", "zebra", "--save-image", path.with_suffix(".png")).stderr
    assert run("--version").stdout == run("version").stdout


def test_collections(run, make_pdf: MakePdf) -> None:
    run("collections", "create", "reports", "--channel", "lexical")
    run("ingest", make_pdf("a.pdf", ["Words."]), "-c", "reports")
    (row,) = json.loads(run("collections", "ls", "--json").stdout)
    assert (row["name"], row["documents"], row["channels"]) == ("reports", 1, ["lexical"])
    assert "Did you mean 'reports'?" in run("search", "words", "-c", "report", code=3).stderr
    run("collections", "rm", "reports", "--yes")
    assert json.loads(run("collections", "ls", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["serach", "x"], 2, "search"),
        (["search", "x"], 3, "folioscope ingest"),
        (["ingest", "nowhere.pdf"], 3, "nowhere.pdf does not exist"),
        (["ingest"], 2, "PATH"),
        (["ask", "x", "--model", "gpt-17"], 3, "collection"),
        (["docs", "show", "x"], 3, "no collection"),
        (["ingest", "x.pdf", "--ocr", "magic"], 2, "'magic'"),
        (["search", "x", "--save-image", "page.gif"], 2, "page.gif ends in none of"),
        (["ask", "x", "--save-image", "no/such/folder/page.png"], 2, "there is no folder"),
        (["search", "x", "-k", "0"], 2, "greater than or equal"),
        (["ask", "x", "a.pdf", "-d", "b.pdf"], 2, "--document and --meta"),
        (["ask", "x", "a.pdf", "--meta", "year=2024"], 2, "--document and --meta"),
        (["ask", "x", "--password", "secret"], 2, "--password opens files named"),
    ],
)
def test_bad_input_is_a_sentence_and_an_exit_code(run, arguments: list[str], code: int, says: str) -> None:
    done = run(*arguments, code=code)
    assert says in done.stderr
    assert done.stdout == ""


def test_an_unknown_model_lists_the_known_ones(run, make_pdf: MakePdf) -> None:
    run("ingest", make_pdf("a.pdf", ["Words."]))
    assert "extractive" in run("ask", "words?", "--model", "gpt-17", code=5).stderr
    assert "empty" in run("ask", " ", code=2).stderr


def test_a_busy_data_folder_names_its_process(run, tmp_path: Path) -> None:
    hold = """
import sys
from pathlib import Path
from ingest.folder import DataFolder
folder = DataFolder(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", hold, str(tmp_path / "data")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        done = run("docs", "ls", code=5)
        assert str(other.pid) in done.stderr
        assert "FOLIOSCOPE_DATA_DIR" in done.stderr
        other.kill()


def test_settings_say_where_they_come_from(run, tmp_path: Path) -> None:
    (tmp_path / "folioscope.toml").write_text('top_k = 7\nocr = "off"\n')
    rows = {row["name"]: row for row in json.loads(run("config", "show", "--json", FOLIOSCOPE_OCR="tesseract").stdout)}
    assert (rows["top_k"]["value"], rows["top_k"]["origin"]) == (7, "file")
    assert (rows["ocr"]["value"], rows["ocr"]["origin"]) == ("tesseract", "environment")
    assert (rows["model"]["value"], rows["model"]["origin"]) == ("auto", "default")
    assert rows["data_dir"]["origin"] == "environment"
    assert "top_k" in run("config", "show").stdout
    assert run("config", "path").stdout.strip() == str(tmp_path / "folioscope.toml")
    (tmp_path / "folioscope.toml").write_text("top_kk = 7\n")
    assert "top_kk" in run("docs", "ls", code=2).stderr
    (tmp_path / "folioscope.toml").write_text("top_k = \n")
    assert "TOML" in run("docs", "ls", code=2).stderr
    secret = "postgresql+psycopg://me:hunter2@127.0.0.1/x"
    (tmp_path / "folioscope.toml").write_text("")
    assert "hunter2" not in run("config", "show", "--json", FOLIOSCOPE_DATABASE_URL=secret).stdout


@pytest.mark.slow
def test_doctor_checks_and_never_prints_keys(run) -> None:
    done = run("doctor", "--json", OPENAI_API_KEY="sk-very-secret", FOLIOSCOPE_AUTO_MODELS="gemini:some-model")
    results = {row["name"]: row for row in json.loads(done.stdout)}
    tried = results["sandbox"]["detail"]
    assert "it tried and could not: " in tried or "missing: " in tried
    assert results["sandbox"]["state"] == ("note" if "missing: " in tried else "ok")
    assert results["data folder"]["state"] == "ok"
    assert results["answering model"]["detail"].startswith("extractive")
    assert "gemini: GEMINI_API_KEY is not set" in results["vision models"]["detail"]
    assert "sk-very-secret" not in done.stdout + done.stderr
    nowhere = {
        "FOLIOSCOPE_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none",
        "FOLIOSCOPE_QDRANT_URL": "http://127.0.0.1:1",
    }
    broken = run("doctor", code=1, **nowhere).stdout
    assert "BAD  database: " in broken
    assert "BAD  vectors: " in broken


def test_nothing_heavy_is_imported_for_help_and_version() -> None:
    # pydantic is not ours to avoid: typer reads its options with it.
    heavy = ["numpy", "sqlalchemy", "dbos", "pymupdf", "onnxruntime", "qdrant_edge", "PIL"]
    for command in ("--help", "version"):
        code = (
            f"import sys; sys.argv = ['folioscope', {command!r}]\n"
            "from api.cli.main import main\n"
            "try:\n    main()\nexcept SystemExit:\n    pass\n"
            f"assert not set({heavy!r}) & set(sys.modules), set({heavy!r}) & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_completion_is_offered(run) -> None:
    script = run(_FOLIOSCOPE_COMPLETE="source_bash").stdout
    assert "_FOLIOSCOPE_COMPLETE" in script


def test_nothing_that_steers_a_terminal_is_printed(run, make_pdf: MakePdf, tmp_path: Path) -> None:
    good = make_pdf("docs/plain.pdf", ["A sentence about herons."])
    good.rename(good.with_name("a\x1b]0;title\x07b\x9b2Jc\nd.pdf"))
    (tmp_path / "docs/e\x1b[31mf.pdf").write_bytes(b"%PDF-1.7 nonsense")
    said = ""
    for command, code in [
        (["ingest", tmp_path / "docs"], 4),
        (["docs", "ls"], 0),
        (["jobs", "ls"], 0),
        (["search", "herons"], 0),
        (["ask", "What is said about herons?"], 0),
        (["ask", "herons?", tmp_path / "docs/e\x1b[31mf.pdf"], 1),
        (["docs", "show", "a\x1b]0;title\x07b\x9b2Jc\nd.pdf"], 0),
        (["docs", "show", "no\x1b[31m.pdf"], 3),
        (["docs", "rm", "e\x1b[31mf.pdf"], 0),
    ]:
        done = run(*command, code=code)
        said += done.stdout + done.stderr
    assert {ch for ch in said if not ch.isprintable()} <= {"\n", "\t"}
    assert "a]0;titleb2Jc d.pdf" in said
    assert "e[31mf.pdf" in said
    (left,) = json.loads(run("docs", "ls", "--json").stdout)
    assert left["filename"] == "a\x1b]0;title\x07b\x9b2Jc\nd.pdf"


def test_tables_in_a_terminal_are_clean_and_keep_the_ids_whole(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    output.table(["id", "file"], [["doc_0123456789abcdef0123", "a\x1b[2J\nfile with a long name.pdf"]])
    shown = capsys.readouterr().out
    assert "doc_0123456789abcdef0123" in shown
    assert "\x1b" not in shown
    assert "".join(line[24:].strip() for line in shown.splitlines()[1:]).replace(" ", "") == "a[2Jfilewithalongname.pdf"


def test_what_the_model_could_not_support_is_not_shown(capsys) -> None:
    page = PageHit(1, DocumentRef("doc_1", 1, "a.pdf", 3), 2, 0.5, {})
    found = Answer("?", "not_found", (Segment("The moon is made of cheese."),), (), (page,), "m")
    show(found, quiet=True)
    assert capsys.readouterr().out == "The pages that were found don't say.\n  looked at: a.pdf, page 2\n"


def test_the_engines_offered_for_ocr_are_those_of_the_setting() -> None:
    offered, _none = get_args(get_args(options.OcrEngine)[0])
    assert get_args(offered) == get_args(Settings.model_fields["ocr"].annotation)


def test_what_changes_something_says_so_in_json(run, make_pdf: MakePdf) -> None:
    assert json.loads(run("version", "--json").stdout) == {"name": "folioscope", "version": __version__}
    made = json.loads(run("collections", "create", "x", "--json").stdout)
    assert (made["name"], made["channels"]) == ("x", ["lexical"])
    run("ingest", make_pdf("a.pdf", ["Words."]), "-c", "x")
    (job,) = json.loads(run("jobs", "ls", "--json").stdout)
    assert json.loads(run("jobs", "cancel", job["id"], "--json").stdout) == {"id": job["id"], "cancelled": 0}
    (gone,) = json.loads(run("docs", "rm", "a.pdf", "-c", "x", "--json").stdout)
    assert gone["filename"] == "a.pdf"


@pytest.mark.slow
def test_interrupted_once_it_finishes_pages_and_says_how_to_go_on(run, interrupt, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"d{n}.pdf", [f"page {p} of {n}" for p in range(400)]) for n in range(4)]
    done = interrupt("ingest", "--workers", "1", *paths, when=_any_page)
    assert done.returncode == 130, done.stderr
    assert "folioscope jobs watch" in done.stderr
    assert "ready" in run("jobs", "watch").stderr
    documents = json.loads(run("docs", "ls", "--json").stdout)
    assert {(document["status"], document["pages"]) for document in documents} == {("ready", 400)}


@pytest.mark.slow
def test_interrupted_it_never_answers_from_what_happened_to_be_ready(run, interrupt, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"d{n}.pdf", [f"page {p} of {n}" for p in range(400)]) for n in range(4)]
    done = interrupt("ask", "page 1?", *paths, when=_any_page, FOLIOSCOPE_WORKERS="1")
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert "the same command" in done.stderr
    assert run("ask", "Which is page 7 of 3?", *paths).stdout

    done = interrupt("collections", "rebuild", "-c", "files", when=_no_fill)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert "folioscope jobs watch" in done.stderr
    run("jobs", "watch")
    documents = json.loads(run("docs", "ls", "-c", "files", "--json").stdout)
    assert {document["coverage"]["lexical"]["done"] for document in documents} == {400}


def test_interrupted_before_any_work_it_stops_as_well(interrupt, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"d{n}.pdf", [f"page {p} of {n}" for p in range(400)]) for n in range(4)]
    done = interrupt("ingest", "--json", *paths, when=lambda data: (data / "jobs.sqlite").exists())
    assert done.returncode == 130, done.stderr
    assert {json.loads(row)["status"] for row in done.stdout.splitlines()} != {"ready"}


def test_interrupted_twice_it_leaves_at_once(interrupt, make_scan, tmp_path: Path) -> None:
    slow = tmp_path / "bin/tesseract"
    slow.parent.mkdir()
    nap = f"40.{os.getpid()}"  # of no other process; the confined program can't leave a file to be seen by
    slow.write_text(f"#!/bin/sh\ncase $1 in --list-langs) echo List; echo eng;; *) exec sleep {nap}; esac\n")
    slow.chmod(0o755)
    done = interrupt(
        "ingest",
        make_scan("scan.pdf"),
        when=lambda _: _runs(f"sleep\0{nap}"),
        times=2,
        PATH=f"{slow.parent}:{os.environ['PATH']}",
        FOLIOSCOPE_OCR="tesseract",
    )
    assert done.returncode == 130, done.stderr
    assert "Ctrl-C again" in done.stderr
    assert "stopped" not in done.stderr


def _runs(command: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if command.encode() in path.read_bytes():
                return True
    return False


def _any_page(data: Path) -> bool:
    return _has(data, "pages")


def _no_fill(data: Path) -> bool:
    return not _has(data, "fills WHERE done > 0")


def _has(data: Path, rows: str) -> bool:
    catalog = data / "catalog.sqlite"
    if not catalog.exists():
        return False
    try:
        with sqlite3.connect(catalog) as db:
            return bool(db.execute(f"SELECT 1 FROM {rows} LIMIT 1").fetchone())
    except sqlite3.OperationalError:
        return False
