"""`folioscope eval` from the command line, on a small real collection."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from api.cli.main import main
from eval import Dataset, Run

pytest.importorskip("ir_measures", reason="needs the extra: pip install 'folioscope[eval]'")
pytest.importorskip("matplotlib", reason="needs the extra: pip install 'folioscope[eval]'")


class Shown(NamedTuple):
    """What a command has printed."""

    stdout: str
    stderr: str


Command = Callable[..., Shown]


@pytest.fixture
def folioscope(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command on a copy of the data folder; ``code``: the exit code expected."""
    for name in [name for name in os.environ if name.startswith("FOLIOSCOPE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FOLIOSCOPE_DATA_DIR", str(data))
    monkeypatch.setenv("FOLIOSCOPE_CONFIG", str(tmp_path / "folioscope.toml"))
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str | Path, code: int = 0) -> Shown:
        monkeypatch.setattr(sys, "argv", ["folioscope", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = Shown(*capsys.readouterr())
        assert (ended.value.code or 0) == code, shown
        return shown

    return command


def test_run_compare_report(folioscope: Command, dataset: Dataset, tmp_path: Path) -> None:
    dataset.save("mine.jsonl")
    shown = folioscope("eval", "run", "mine.jsonl", "-o", "one.json", "--model", "extractive", "--name", "one")
    assert "nDCG@5\t1.000\t1.000" in shown.stdout
    assert "written: one.json" in shown.stderr
    assert Run.load("one.json").model == "extractive"
    summary = json.loads(folioscope("eval", "run", "mine.jsonl", "--encode-pages", "0", "--json").stdout)
    assert summary["whole"]["R@1"] == 1.0
    assert Path(summary["run"]).name.startswith("eval-mine-")

    shown = folioscope("eval", "compare", "one.json", summary["run"])
    assert "inside the document\tnDCG@5\t1.000\t1.000\t+0.000" in shown.stdout
    assert "0 questions flipped" in shown.stderr
    found = json.loads(folioscope("eval", "compare", "one.json", summary["run"], "--json").stdout)
    assert found["flips"] == []
    assert found["differences"][0]["p"] == 1.0

    shown = folioscope("eval", "report", "one.json", summary["run"], "-o", "page.html")
    assert shown.stdout.split() == ["page.html", "page.md"]
    assert Path("page.html").read_text().startswith("<!doctype html>")
    assert "# Evaluation: mine, one, mine" in Path("page.md").read_text()


def test_what_can_not_be_run(folioscope: Command, dataset: Dataset) -> None:
    assert "no dataset nothing.jsonl" in folioscope("eval", "run", "nothing.jsonl", code=2).stderr
    dataset.save("mine.jsonl")
    assert "no measure 'x'" in folioscope("eval", "run", "mine.jsonl", "--measure", "x", code=2).stderr
    folioscope("eval", "run", "mine.jsonl", "--judge", "openai:x", code=2)
    folioscope("eval", "run", "mine.jsonl", "-o", "none/run.json", code=2)
    folioscope("eval", "run", "mine.jsonl", "-o", ".", code=2)
    folioscope("eval", "run", "mine.jsonl", "-c", "none", code=3)
    dataset.of(["manual.pdf"]).save("other.jsonl")
    folioscope("eval", "run", "mine.jsonl", "-o", "a.json", "-q")
    folioscope("eval", "run", "other.jsonl", "-o", "b.json", "-q")
    assert Run.load("b.json").name == "b"
    assert "can't be compared" in folioscope("eval", "compare", "a.json", "b.json", code=2).stderr
    assert "is no run" in folioscope("eval", "report", "mine.jsonl", code=2).stderr


def test_questions_are_proposed_and_accepted(folioscope: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai", reason="needs the extra: pip install 'folioscope[openai]'")
    from tests.support.vendors import MODELS, Asked, Vendors

    def reply(asked: Asked) -> str:
        worth = asked.number != 2
        quote = "The warranty lasts two years." if asked.number == 1 else "lasts for ever"
        return json.dumps({"worth": worth, "question": f"Q{asked.number}?", "answer": "A", "quote": quote})

    with Vendors(reply=reply) as server:
        monkeypatch.setenv("OPENAI_API_KEY", server.key)
        monkeypatch.setenv("FOLIOSCOPE_OPENAI_URL", server.url("openai"))
        monkeypatch.setenv("FOLIOSCOPE_MODEL", f"openai:{MODELS[1]}")
        shown = folioscope("eval", "make", "made.jsonl", "-n", "3")
        again = folioscope("eval", "make", "made.jsonl", "-n", "99")
        assert server.complaints == []
    assert "1. Q1?" in shown.stderr
    assert "made.jsonl has 2 proposals" in shown.stderr
    assert "made.jsonl has 8 proposals" in again.stderr or "made.jsonl has 7 proposals" in again.stderr
    assert all(len(asked.pictures) == 1 for asked in server.asked)
    rows = [json.loads(line) for line in Path("made.jsonl").read_text().splitlines()]
    pages = [(row["document"], row["pages"][0]) for row in rows]
    assert len(set(pages)) == len(pages)
    assert {row["quote_status"] for row in rows} <= {"exact", "unverified"}
    assert {row["accepted"] for row in rows} == {None}
    assert "has no question" in folioscope("eval", "run", "made.jsonl", code=2).stderr
    monkeypatch.setattr("sys.stdin", io.StringIO("y\nn\n\nq\n"))
    shown = folioscope("eval", "accept", "made.jsonl")
    assert "question  Q1?" in shown.stdout
    assert "1 accepted in made.jsonl" in shown.stderr
    rows = [json.loads(line) for line in Path("made.jsonl").read_text().splitlines()]
    assert [row["accepted"] for row in rows[:4]] == [True, False, None, None]
    Path("mine.jsonl").write_text('{"id": "a", "question": "?", "pages": [1], "accepted": null}\n')
    assert "did not write" in folioscope("eval", "accept", "mine.jsonl", code=2).stderr
    assert (
        "needs a vision-language model" in folioscope("eval", "make", "x.jsonl", "--model", "extractive", code=5).stderr
    )


def test_tuning_from_the_command_line(folioscope: Command, dataset: Dataset) -> None:
    dataset.save("mine.jsonl")
    assert "more than 5 documents" in folioscope("eval", "tune", "mine.jsonl", code=2).stderr
    Dataset("answerable", dataset.questions[:4]).save("answerable.jsonl")
    shown = folioscope("eval", "tune", "answerable.jsonl")
    assert "nothing to tune" in shown.stderr
    assert not Path("tuned.toml").exists()
    folioscope("eval", "tune", "mine.jsonl", "--try", "ocr", code=2)
    Path("tuned.toml").write_text("fusion = [")
    assert "can't be read as TOML" in folioscope("eval", "tune", "mine.jsonl", code=2).stderr


def test_unpacking_page_images(folioscope: Command, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra: pip install 'folioscope[eval]'")
    from pyarrow.parquet import write_table

    from tests.eval.pictures import png

    (tmp_path / "set" / "corpus").mkdir(parents=True)
    rows = [{"corpus-id": 7, "image": {"bytes": png(7)}}]
    write_table(pyarrow.Table.from_pylist(rows), tmp_path / "set" / "corpus" / "test.parquet")
    assert folioscope("eval", "unpack", "set", "pages").stdout == "1 pages in pages\n"
    assert (tmp_path / "pages" / "7.png").read_bytes() == png(7)
    assert "no corpus" in folioscope("eval", "unpack", "pages", "more", code=2).stderr
