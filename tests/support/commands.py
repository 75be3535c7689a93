"""The command line in processes of its own, without a second of imports each: every one is the fork of a process that
has done them. It has its arguments, environment, folder and streams to itself, and ends as a program does.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]
SECONDS = 120
CORE = ("api.cli.local", "api.cli.progress", "ingest.jobs", "generation", "retrieval.retriever", "rich.table")
# numpy's threads would not come along; what is read at an import is the same for all.
STARTED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


class Starter:
    """Runs commands, one at a time. ``modules``: what it imports beforehand."""

    def __init__(self, *modules: str) -> None:
        self._asks, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", "from tests.support.commands import serve; serve()", *modules],
            stdin=theirs, cwd=ROOT, env=os.environ | STARTED, start_new_session=True,
        )  # fmt: skip
        theirs.close()
        self._asks.settimeout(SECONDS)

    def run(self, *arguments: object, env: Mapping[str, str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """`folioscope` with these arguments, in exactly this environment."""
        words = [*map(str, arguments)]
        asked = json.dumps({"arguments": words, "env": dict(env), "cwd": str(cwd)}).encode() + b"\n"
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
            sent = socket.send_fds(self._asks, [asked], [out.fileno(), said.fileno()])
            self._asks.sendall(asked[sent:])
            try:
                answer = self._asks.recv(100)
            except TimeoutError:
                self._kill()
                raise subprocess.TimeoutExpired(words, SECONDS, _text(out), _text(said)) from None
            assert answer, "the process that starts the commands has died"
            return subprocess.CompletedProcess(words, int(answer), _text(out), _text(said))

    def _kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> Starter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._asks.close()
        self._process.wait()


def _text(file: tempfile._TemporaryFileWrapper[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def serve() -> None:
    """What the starting process does until the other end is closed; each fork goes on as the program."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    sys.path[0] = str(ROOT)  # it was the working folder
    gc.freeze()
    asks = socket.socket(fileno=os.dup(0))
    while True:
        received, files, _, _ = socket.recv_fds(asks, 1 << 16, 2)
        while received and not received.endswith(b"\n"):
            received += asks.recv(1 << 16)
        if not received:
            os._exit(0)
        child = os.fork()
        if child == 0:
            asks.close()
            _become(files, **json.loads(received))
            from api.cli.main import main

            return main()
        for file in files:
            os.close(file)
        _, status = os.waitpid(child, 0)
        asks.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _become(files: list[int], arguments: list[str], env: dict[str, str], cwd: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate([nothing, *files]):
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["folioscope", *arguments]
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
