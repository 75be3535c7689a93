"""Whole documents read from the command line: the real SDK, a vendor's wire format, the pages of a real data folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pymupdf
import pytest
from PIL import Image

from api.cli.look import Kind
from api.cli.main import main
from generation.look import PRESETS
from tests.support.commands import Starter
from tests.support.readers import pages_of
from tests.support.vendors import MODELS, Asked, Refusal, Vendors

pytest.importorskip("openai", reason="needs the extra: pip install 'folioscope[openai]'")
pytest.importorskip("jsonschema", reason="needs the extra: pip install 'folioscope[extract]'")

ROOT = Path(__file__).parents[2]
MODEL = f"openai:{MODELS[1]}"
SCHEMA = {
    "type": "object", "properties": {"number": {"type": "string"}, "total": {"type": "number"}}, "required": ["number"],
}  # fmt: skip


class Shown(NamedTuple):
    """What a command has printed."""

    stdout: str
    stderr: str

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.stdout.splitlines()]


Run = Callable[..., Shown]


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with Vendors() as server:
        yield server
        assert server.complaints == []


INGEST = """
import sys
from pathlib import Path
from folioscope.settings import Settings
from ingest import Library
folder, papers = map(Path, sys.argv[1:])
with Library(settings=Settings(data_dir=folder, channels=("lexical",))) as library:
    library.ingest([papers / "a.pdf", papers / "b.pdf"])
    library.ingest([papers / "long.pdf"], collection="long")
"""
PAGES = {
    "a.pdf": ["Invoice 4711 of Kiln and Sons", "The total is 35.50 crowns."],
    "b.pdf": ["Invoice 4712 of the harbour", "The total is 41 crowns."],
    "long.pdf": [f"Sheet {number} tells of widget number {number}." for number in range(1, 41)],
}


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the documents and a schema."""
    folder = tmp_path_factory.mktemp("papers")
    for name, pages in PAGES.items():
        with pymupdf.open() as pdf:
            for text in pages:
                pdf.new_page(width=420, height=595).insert_text((40, 60), text)
            pdf.save(folder / name)
    (folder / "s.json").write_text(json.dumps(SCHEMA))
    return folder


@pytest.fixture(scope="module")
def data(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two invoices in the collection that is used when none is named, and a long document.

    Made by a process of its own: jobs keep hold of the stderr they were started with, and pytest's goes with each test.
    """
    folder = tmp_path_factory.mktemp("data")
    call = [sys.executable, "-c", INGEST, str(folder), str(papers)]
    subprocess.run(call, cwd=ROOT, check=True, timeout=120)
    return folder


@pytest.fixture
def environment(vendors: Vendors, data: Path, tmp_path: Path) -> dict[str, str]:
    return {
        "FOLIOSCOPE_DATA_DIR": str(data),
        "FOLIOSCOPE_CONFIG": str(tmp_path / "folioscope.toml"),
        "FOLIOSCOPE_CHANNELS": "lexical",
        "FOLIOSCOPE_MODEL": MODEL,
        "FOLIOSCOPE_MODEL_RETRIES": "0",
        "FOLIOSCOPE_OPENAI_URL": vendors.url("openai"),
        "OPENAI_API_KEY": vendors.key,
    }


@pytest.fixture
def run(
    environment: dict[str, str],
    papers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """A command in a folder with the schema, with a vendor's model; ``code``: the exit code expected."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shutil.copy(papers / "s.json", tmp_path)
    monkeypatch.chdir(tmp_path)

    def command(*words: str | Path, code: int = 0) -> Shown:
        monkeypatch.setattr(sys, "argv", ["folioscope", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = Shown(*capsys.readouterr())
        assert (ended.value.code or 0) == code, shown
        return shown

    return command


def fields(asked: Asked) -> str:
    number = "4711" if "4711" in asked.text else "4712"
    total = 35.5 if number == "4711" else 41
    evidence = [
        {"field": "/number", "page": 1, "quote": f"Invoice {number}"},
        {"field": "/total", "page": 2, "quote": f"total is {'35.50' if total == 35.5 else '41'} crowns"},
    ]
    return json.dumps({"data": {"number": number, "total": total}, "evidence": evidence})


def test_fields_of_every_document_of_a_collection(run: Run, vendors: Vendors) -> None:
    vendors.reply = fields
    rows = run("extract", "--schema", "s.json", "--json", "-q").rows
    assert [(row["document"]["filename"], row["data"]) for row in rows] == [
        ("a.pdf", {"number": "4711", "total": 35.5}),
        ("b.pdf", {"number": "4712", "total": 41}),
    ]
    total = rows[0]["citations"][rows[0]["fields"]["/total"] - 1]
    assert (total["page"], total["quote_status"], total["document"]["filename"]) == (2, "exact", "a.pdf")
    assert all(0 <= edge <= 1 for box in total["boxes"] for edge in box)
    assert (rows[0]["problems"], rows[0]["unsupported"], rows[0]["model"]) == ([], [], MODEL)
    assert [len(asked.pictures) for asked in vendors.asked] == [2, 2]
    assert all(asked.schema and "data" in asked.schema["properties"] for asked in vendors.asked)

    shown = run("extract", "--schema", "s.json", "-d", "b.pdf")
    assert "/total: 41 [2]" in shown.stdout
    assert "b.pdf, page 1 (exact): “Invoice 4712”" in shown.stdout
    assert "a.pdf" not in shown.stdout
    assert f"model: {MODEL}; " in shown.stderr


def test_files_are_taken_in_and_what_does_not_conform_is_kept(
    environment: dict[str, str], papers: Path, vendors: Vendors, tmp_path: Path, starter: Starter
) -> None:
    def command(*words: str | Path, code: int) -> Shown:
        env = {**os.environ, **environment, "FOLIOSCOPE_DATA_DIR": str(tmp_path / "data")}
        done = starter.run(*words, env=env)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return Shown(done.stdout, done.stderr)

    vendors.reply = json.dumps({"data": {"total": "much"}, "evidence": []})
    shown = command("extract", papers / "a.pdf", "--schema", papers / "s.json", "--json", "-q", code=4)
    (row,) = shown.rows
    assert row["data"] == {"total": "much"}
    assert len(row["problems"]) == 2
    assert "a.pdf: what was found does not conform" in shown.stderr
    assert len(vendors.asked) == 2

    vendors.reply = differing
    row = json.loads(command("compare", papers / "a.pdf", papers / "b.pdf", "--json", "-q", code=0).stdout)
    assert [each["document"]["filename"] for each in row["citations"]] == ["a.pdf", "b.pdf"]


def differing(asked: Asked) -> str:
    last = max(pages_of(asked.text))
    first = {"text": "35.50", "evidence": [{"page": 2, "quote": "The total is 35.50 crowns"}]}
    second = {"text": "41", "evidence": [{"page": last, "quote": "The total is 41 crowns"}]}
    differences = [{"topic": "total", "first": first, "second": second}]
    return json.dumps({"summary": "Two invoices.", "similarities": [], "differences": differences})


def test_a_document_that_fails_does_not_stop_the_others(run: Run, vendors: Vendors) -> None:
    vendors.reply = lambda asked: Refusal("invalid") if "4711" in asked.text else fields(asked)
    shown = run("extract", "--schema", "s.json", "--json", "-q", code=4)
    assert [row["document"]["filename"] for row in shown.rows] == ["b.pdf"]
    assert "a.pdf: " in shown.stderr
    assert "1 of 2 documents could not be read" in shown.stderr
    vendors.reply = Refusal("auth")
    assert "does not accept the key" in run("extract", "--schema", "s.json", code=5).stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [("[1]", "no JSON object"), ("{", "is no JSON"), ('{"type": "objekt"}', "no JSON Schema"), (None, "can't be read")],
)
def test_schemas_that_are_none(run: Run, content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "bad.json").write_text(content)
    assert message in run("extract", "--schema", tmp_path / "bad.json", code=2).stderr


def test_without_a_model_it_says_what_to_set_and_takes_nothing_in(run: Run, vendors: Vendors, papers: Path) -> None:
    run("summarize", papers / "a.pdf", "-c", "new", "--model", "extractive", code=5)
    run("docs", "ls", "-c", "new", code=3)
    for command in (["summarize"], ["classify", "-l", "a", "-l", "b"], ["compare", "a.pdf", "b.pdf"]):
        shown = run(*command, "--model", "extractive", code=5)
        assert "ollama:<model>" in shown.stderr
        assert "ANTHROPIC_API_KEY" in shown.stderr
    assert "no document to read" in run("summarize", "--meta", "year=1900", code=3).stderr
    assert "known are" in run("summarize", "--model", "nobody:x", code=5).stderr
    assert vendors.asked == []


def test_a_summary(run: Run, vendors: Vendors) -> None:
    claims = [{"text": "35.50 crowns are due.", "evidence": [{"page": 2, "quote": "The total is 35.50 crowns."}]}]
    vendors.reply = json.dumps({"claims": claims})
    shown = run("summarize", "-d", "a.pdf")
    assert shown.stdout.splitlines() == [
        "a.pdf",
        "  35.50 crowns are due. [1]",
        "  [1] a.pdf, page 2 (exact): “The total is 35.50 crowns.”",
        "",
    ]
    (row,) = run("summarize", "-d", "a.pdf", "--json").rows
    assert row["segments"] == [{"text": "35.50 crowns are due.", "citations": [1]}]


def test_a_document_longer_than_the_model_takes(run: Run, vendors: Vendors) -> None:
    def reply(asked: Asked) -> str:
        if pages := pages_of(asked.text):
            notes = [{"page": page, "note": "w", "quote": f"widget number {page}"} for page in pages]
            return json.dumps({"notes": notes})
        quotes = [{"page": page, "quote": f"widget number {page}"} for page in (1, 40)]
        return json.dumps({"claims": [{"text": "Widgets.", "evidence": quotes}]})

    vendors.reply = reply
    (row,) = run("summarize", "-c", "long", "--json", "-q").rows
    assert [(each["page"], each["quote_status"]) for each in row["citations"]] == [(1, "exact"), (40, "exact")]
    assert sorted(len(asked.pictures) for asked in vendors.asked) == [0, 8, 16, 16]


def test_labels(run: Run, vendors: Vendors) -> None:
    evidence = [{"page": 1, "quote": "Invoice"}]
    vendors.reply = json.dumps({"label": "invoice", "reason": "It says so.", "evidence": evidence})
    shown = run("classify", "-l", "invoice", "-l", "letter", "-q")
    assert shown.stdout.count("invoice: It says so. [1]") == 2
    rows = run("classify", "-l", "invoice", "-l", "letter", "-q", "--json").rows
    assert [row["label"] for row in rows] == ["invoice", "invoice"]
    assert "no choice" in run("classify", "-l", "invoice", code=2).stderr


def test_two_documents_and_pages_of_one(run: Run, vendors: Vendors, make_pdf) -> None:
    vendors.reply = differing
    shown = run("compare", "a.pdf", "b.pdf")
    assert shown.stdout.splitlines()[:4] == ["Two invoices.", "total", "  first:  35.50 [1]", "  second: 41 [2]"]
    run("compare", "a.pdf", "a.pdf", "--first", "2", "--second", "1-2", "-q")
    assert len(vendors.asked[-1].pictures) == 3
    assert "no pages 7" in run("compare", "a.pdf", "b.pdf", "--first", "7", code=2).stderr
    assert "is no page" in run("compare", "a.pdf", "b.pdf", "--first", "x", code=2).stderr
    assert "c.pdf" in run("compare", "a.pdf", "c.pdf", code=3).stderr


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "grey.png", tmp_path / "white.png"]
    for path, shade in zip(paths, (90, 250), strict=True):
        Image.new("RGB", (300, 200), (shade, shade, shade)).save(path)
    return paths


def test_looking_at_each_image(run: Run, photos: list[Path], vendors: Vendors, make_pdf) -> None:
    vendors.reply = lambda asked: f"Image {asked.number} is\x1b[31m plain.\nThat is all."
    shown = run("look", "describe", *photos)
    assert shown.stdout.splitlines() == [
        "grey.png, page 1", "  Image 1 is[31m plain.", "  That is all.",
        "white.png, page 1", "  Image 2 is[31m plain.", "  That is all.",
    ]  # fmt: skip
    pdf = make_pdf("three.pdf", ["one", "two", "three"])
    rows = run("look", "text", pdf, "--pages", "1,3", "--json").rows
    assert [row["images"][0]["page"] for row in rows] == [1, 3]
    assert [(row["preset"], row["version"]) for row in rows] == [("text", 1)] * 2


def test_looking_at_a_chart_gives_json(run: Run, photos: list[Path], vendors: Vendors) -> None:
    chart = {
        "title": "Sales", "kind": "bar", "x_axis": "", "y_axis": "", "unit": "", "message": "Up.",
        "series": [{"name": "s", "points": [{"x": "2024", "y": 35.0, "estimated": False}]}],
    }  # fmt: skip
    vendors.reply = json.dumps(chart)
    (row,) = run("look", "chart", photos[0], "--json").rows
    assert row["data"] == chart
    assert vendors.asked[0].schema is not None
    assert '"title": "Sales"' in run("look", "chart", photos[0]).stdout


def test_looking_at_images_together(run: Run, photos: list[Path], vendors: Vendors) -> None:
    vendors.reply = "Image 2 is brighter."
    (row,) = run("look", "differences", *photos, "--json").rows
    assert [image["filename"] for image in row["images"]] == ["grey.png", "white.png"]
    assert row["text"] == "Image 2 is brighter."
    assert len(vendors.asked[0].pictures) == 2
    assert "1 image for 'compare'" in run("look", "compare", photos[0], code=2).stderr


def test_images_that_can_not_be_looked_at(run: Run, photos: list[Path], vendors: Vendors, tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 nonsense")
    vendors.reply = "Plain."
    shown = run("look", "describe", "broken.pdf", photos[0], "-q", code=4)
    assert "document_corrupt" in shown.stderr
    assert "grey.png, page 1" in shown.stdout
    run("look", "describe", "broken.pdf", code=1)
    run("look", "describe", "missing.png", code=3)
    assert "ollama:<model>" in run("look", "describe", photos[0], "--model", "extractive", code=5).stderr
    with pytest.raises(AssertionError):
        run("look", "sing", photos[0])


def test_the_command_knows_every_preset() -> None:
    assert set(get_args(Kind)) == set(PRESETS)
