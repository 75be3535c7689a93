"""The command line as people use it: a process of its own, its output, its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

MakePdf = Callable[..., Path]
PROGRAM = [sys.executable, "-W", "error", "-c", "from api.cli.main import main; main()"]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command on a data folder of the test's own; ``code`` is the exit code expected."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FOLIOSCOPE_")},
        "FOLIOSCOPE_DATA_DIR": str(tmp_path / "data"),
        "FOLIOSCOPE_CONFIG": str(tmp_path / "folioscope.toml"),
        "FOLIOSCOPE_CHANNELS": "lexical",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }

    def command(*arguments: str | Path, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*PROGRAM, *map(str, arguments)], env={**env, **more}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return command


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
        (["search", "x", "-k", "0"], 2, "greater than or equal"),
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


def test_doctor_checks_and_never_prints_keys(run) -> None:
    done = run("doctor", "--json", OPENAI_API_KEY="sk-very-secret")
    results = {row["name"]: row for row in json.loads(done.stdout)}
    assert results["sandbox"]["state"] == "ok"
    assert results["data folder"]["state"] == "ok"
    assert "extractive" in results["answering model"]["detail"]
    assert "sk-very-secret" not in done.stdout + done.stderr
    broken = run("doctor", code=1, FOLIOSCOPE_DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/none")
    assert "BAD" in broken.stdout


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


def test_interrupted_once_it_finishes_pages_and_says_how_to_go_on(tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"d{n}.pdf", [f"page {p} of {n}" for p in range(400)]) for n in range(8)]
    env = {**os.environ, "FOLIOSCOPE_DATA_DIR": str(tmp_path / "data"), "FOLIOSCOPE_CHANNELS": "lexical"}
    command = [*PROGRAM, "ingest", "--workers", "1", *map(str, paths)]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        catalog = tmp_path / "data" / "catalog.sqlite"
        deadline = time.monotonic() + 60
        while not _any_page(catalog) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "folioscope jobs watch" in said
    assert "Traceback" not in said
    done = subprocess.run([*PROGRAM, "jobs", "watch"], env=env, capture_output=True, text=True, timeout=120, check=True)
    assert "ready" in done.stderr
    listed = subprocess.run([*PROGRAM, "docs", "ls", "--json"], env=env, capture_output=True, text=True, check=True)
    documents = json.loads(listed.stdout)
    assert {(document["status"], document["pages"]) for document in documents} == {("ready", 400)}


def _any_page(catalog: Path) -> bool:
    import sqlite3

    if not catalog.exists():
        return False
    try:
        with sqlite3.connect(catalog) as db:
            return bool(db.execute("SELECT 1 FROM pages LIMIT 1").fetchone())
    except sqlite3.OperationalError:
        return False
