"""The child's side of the sandbox: reads one document at a time under limits and streams its pages to the parent.

Requests come as JSON lines through the socket that is standard input, the document to open as a descriptor beside its
request; answers go as frames to what was standard output. Nothing that a library prints can get between them. The
process ends when its input does.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, BinaryIO

from folioscope.domain import Page, Problem, Words
from folioscope.errors import Corrupt, DocumentError
from ingest import frames
from ingest.confinement import attempts, confine
from ingest.ocr import choose, recogniser
from ingest.sandbox import OUT_OF_MEMORY, Limits, Ocr
from ingest.sources import Source, open_file

PR_SET_PDEATHSIG = 1


class Worker:
    """Answers requests about the document that was opened last."""

    def __init__(self, limits: Limits, ocr: Ocr, answers: BinaryIO) -> None:
        self._limits = limits
        self._recognise = recogniser(ocr.engine, ocr.languages, before_exec=die_with_parent)
        self._answers = answers
        self._source: Source | None = None

    def serve(self, parent: socket.socket) -> None:
        """Until the parent closes its end."""
        for request in _requests(parent):
            try:
                self._answer(**request)
            except DocumentError as error:
                self._send(frames.pack(_error(error)))
            except Exception as error:  # noqa: BLE001  whatever a parser raises is about this document
                self._send(frames.pack(_error(_explained(error))))

    def _answer(self, do: str, **details: Any) -> None:
        if do == "open":
            self._open(**details)
        elif do == "pages":
            self._pages(**details)
        elif do == "render":
            self._send(frames.pack_image(self._opened.render(**details)))
        elif do == "try":
            self._send(frames.pack({"kind": "tried", "outcomes": attempts(**details)}))
        elif do == "close":
            self._close()
            self._send(frames.pack({"kind": "closed", "rss_mb": _memory_mb()[1]}))

    @property
    def _opened(self) -> Source:
        assert self._source is not None, "no document is open"
        return self._source

    def _open(self, descriptor: int, password: str | None) -> None:
        self._close()
        _limit_cpu(self._limits.cpu_s)
        limits, file = self._limits, os.fdopen(descriptor, "rb")
        self._source = open_file(file, password, max_pages=limits.max_pages, max_pixels=limits.max_pixels)
        opened = {"media_type": self._source.media_type, "page_count": self._source.page_count}
        self._send(frames.pack({"kind": "opened", **opened}))

    def _pages(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._send(frames.pack_page(self._read(number)))

    def _read(self, number: int) -> Page:
        try:
            return self._opened.read(number, self._recognise)
        except DocumentError as error:
            problem = Problem(error.code, str(error))
        except Exception as error:  # noqa: BLE001  one bad page is a page with a problem
            problem = Problem(Corrupt.code, str(_explained(error)))
        return Page(number, 0.0, 0.0, Words.empty(), problem=problem)

    def _close(self) -> None:
        if self._source:
            self._source.close()
            self._source = None

    def _send(self, frame: bytes) -> None:
        self._answers.write(frame)
        self._answers.flush()


def _requests(parent: socket.socket) -> Iterator[dict[str, Any]]:
    """Each with the ``descriptor`` that came with it, if one did."""
    received = b""
    files: list[int] = []
    while True:
        part, descriptors, _, _ = socket.recv_fds(parent, 1 << 16, 1)
        if not part:
            return
        files += descriptors
        *lines, received = (received + part).split(b"\n")
        for line in lines:
            yield json.loads(line) | ({"descriptor": files.pop()} if files else {})


def _error(error: DocumentError) -> dict[str, Any]:
    return {"kind": "error", "code": error.code, "message": error.message[:2000], "hint": error.hint}


def _explained(error: Exception) -> Corrupt:
    """What a library raised, as an error of ours. Out of memory, the process ends, and its status says why."""
    said = " ".join(str(error).split())[:300]
    if isinstance(error, MemoryError) or "alloc" in said:
        os._exit(OUT_OF_MEMORY)
    return Corrupt(f"It can't be read: {said or type(error).__name__}.")


def _limit_cpu(seconds: int) -> None:
    """From here on; the hard limit stays open so that the next document gets its share."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _limit_memory(megabytes: int) -> None:
    """On top of what interpreter and libraries have mapped, most of which they never touch."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # macOS refuses a limit on addresses
        most = int(_memory_mb()[0] + megabytes) << 20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _memory_mb() -> tuple[float, float]:
    """Mapped and resident; where there is no /proc, the peak stands in for the present."""
    if _STATM is None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (20 if sys.platform == "darwin" else 10)
        return peak, peak
    mapped, resident = os.pread(_STATM, 100, 0).split()[:2]
    page_mb = resource.getpagesize() / 2**20
    return int(mapped) * page_mb, int(resident) * page_mb


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends. Elsewhere than on Linux: nothing.

    Also run between fork and exec by this process, which has one thread.
    """
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


# Opened once: the child will be able to open next to nothing.
_STATM = os.open("/proc/self/statm", os.O_RDONLY) if os.path.exists("/proc/self/statm") else None  # noqa: PTH110
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def main() -> None:
    """Run as a child: the last argument is a JSON object with the parent's pid, limits and OCR."""
    config = json.loads(sys.argv[-1])
    die_with_parent()
    if os.getppid() != config["parent"]:  # it died before the line above
        return
    parent, answers = socket.socket(fileno=os.dup(0)), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    limits, ocr = Limits(**config["limits"]), Ocr(**config["ocr"])
    # Now, while there is one thread: what is imported from here on is read by a confined process, too.
    confinement = confine(programs=choose(ocr.engine) == "tesseract")
    # PyMuPDF would load a model of page layouts and onnxruntime with it, 0.7 of a start's 1.1 CPU seconds.
    sys.modules["pymupdf.layout"] = None  # type: ignore[assignment]
    import ingest.sources.pdf  # noqa: F401  now, so that its second does not count as the first document's

    _limit_memory(limits.memory_mb)
    answers.write(frames.pack({"kind": "ready", **asdict(confinement)}))
    answers.flush()
    try:
        Worker(limits, ocr, answers).serve(parent)
    except (BrokenPipeError, ConnectionResetError):  # the parent is gone
        os._exit(0)
