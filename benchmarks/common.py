"""What benchmarks share: where the corpus is, what the machine is, how results are printed."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CORPUS = ROOT.parent / "shared" / "corpus"


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A command line with ``--json``; its help is the module's docstring."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="print the figures as JSON on the last line")
    return made


def need_corpus(*parts: str) -> Path:
    """The folder or file in the research corpus, or the end of the program with the reason."""
    path = CORPUS.joinpath(*parts)
    if not path.exists():
        sys.exit(f"this benchmark measures on the research corpus, which is not here: {'/'.join(('corpus', *parts))}")
    return path


def machine() -> dict[str, Any]:
    """What figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def show(figures: Mapping[str, Any], as_json: bool, table: Callable[[], None] | None = None) -> None:
    """Print figures for people, and as the last line for programs."""
    if table is not None:
        table()
    else:
        for name, value in figures.items():
            print(f"{name:<32} {value}")
    if as_json:
        print(json.dumps({**figures, "machine": machine()}))


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            children = task / "children"
            for child in children.read_text().split():
                found += tree(int(child))
    except OSError:
        pass
    return found


def rss_bytes(pid: int) -> int:
    """Resident memory of one process; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def cpu_seconds(pid: int) -> float:
    """User and system time of one process and of its ended children; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0.0
    return sum(int(value) for value in fields[11:15]) / os.sysconf("SC_CLK_TCK")
