"""The server in a process of its own, for benchmarks that ask it over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.common import ROOT

PROGRAM = [sys.executable, "-c", "from api.cli.main import main; main()"]


@dataclass
class Server:
    """``url``: where it answers."""

    process: subprocess.Popen[str]
    url: str

    def kill(self) -> None:
        """As a power cut does, to this process."""
        self.process.kill()
        self.process.wait()


def environment(data: Path, **settings: str) -> dict[str, str]:
    """Of a server over a data folder. ``settings``: of `folioscope.settings`, by name."""
    named = {"data_dir": str(data), "model": "extractive", **settings}
    return {**os.environ, **{f"FOLIOSCOPE_{name.upper()}": value for name, value in named.items()}}


def start(data: Path, log: IO[str] | None = None, **settings: str) -> Server:
    """``serve``; returns when it listens. ``log``: where its stderr goes, else to ours."""
    process = subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0"],
        env=environment(data, **settings),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://\S+:\d+", line):
            # Read on, or it blocks once the pipe is full.
            threading.Thread(target=_pass_on, args=(process.stderr, log), daemon=True).start()
            return Server(process, found[0])
        print(line, end="", file=log or sys.stderr)
    raise RuntimeError(f"the server ended with {process.wait()}")


def _pass_on(lines: IO[str], log: IO[str] | None) -> None:
    for line in lines:
        print(line, end="", file=log or sys.stderr)


@contextmanager
def served(data: Path, log: IO[str] | None = None, **settings: str) -> Iterator[Server]:
    """As `start`, and told to stop at the end."""
    server = start(data, log, **settings)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(60)
