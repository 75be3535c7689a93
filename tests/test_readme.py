"""What the README shows works as shown."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from api import samples
from api.cli.main import app
from tests.support.commands import Starter

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, heading: str) -> str:
    """The first code block of a language under a heading."""
    section = README.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found, heading
    return found[1]


def test_the_notebook_does_the_whole_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    code = block("python", "In a notebook")
    assert len([line for line in code.splitlines() if line.strip() and "import" not in line]) <= 10
    with samples.folder() as folder:
        shutil.copytree(folder, tmp_path / "reports")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "0.35 euros a share" in said
    assert "Box(" in said
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_every_command_line_names_a_command_and_options_that_exist(starter: Starter) -> None:
    for line in block("", "On the command line").splitlines():
        program, *words = shlex.split(line.split("#")[0])
        assert program == "folioscope"
        command = words[: 2 if words[0] in ("docs", "collections", "jobs", "config", "channels") else 1]
        shown = starter.run(*command, "--help", env=os.environ)
        assert shown.returncode == 0, shown
        for word in words:
            if word.startswith("-"):
                assert word in shown.stdout, (line, word)


def test_it_names_the_commands_without_json() -> None:
    def without_json(group, prefix: str = "") -> set[str]:
        found: set[str] = set()
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                found |= without_json(command, f"{prefix}{name} ")
            elif all("--json" not in parameter.opts for parameter in command.params):
                found.add(prefix + name)
        return found

    sentence = re.search(r"Without that option are ([^:]+):", README)
    assert sentence is not None
    assert set(re.findall(r"`([^`]+)`", sentence[1])) == without_json(typer.main.get_command(app))
