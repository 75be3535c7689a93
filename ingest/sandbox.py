"""Documents are read in child processes with limits: a file that hangs, crashes or eats memory takes nothing with it.

Each child is a fresh interpreter with a clean environment in a process group of its own, without network and with no
file but those of Python and the system where the kernel allows that (``ingest.confinement``): a document is opened by
the parent and handed over. A child can't outlive the parent: on Linux the kernel kills it, elsewhere it ends when its
input does. The parent trusts nothing that it sends (``ingest.frames``), gives it a time for each page and replaces it
when it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from folioscope import errors, telemetry
from folioscope.domain import Page, Problem, Words
from ingest import frames
from ingest.confinement import Confinement

if TYPE_CHECKING:
    from folioscope.settings import Settings

OUT_OF_MEMORY = 86  # exit status by which a child says so
DEATHS_IN_A_ROW = 5  # pages; a document that kills so many children is given up
DEATHS_IN_ALL = 20
PAGES_A_CHILD = 3000
START_S = 60.0
CLOSE_S = 10.0
PIPE_BYTES = 1 << 20  # how far a child reads ahead: some 60 pages
MOST_WORDS_BYTES = 64 << 20
ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TESSDATA_PREFIX", "LD_LIBRARY_PATH")
ONE_THREAD = {"OMP_THREAD_LIMIT": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Our own code is looked for behind the standard library (three places) and before what is installed: an editable
# installation of another checkout does not get in between.
START = "import sys; sys.path.insert(3, sys.argv[1]); from ingest.sandbox_worker import main; main()"
BY_CODE = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.DocumentError)
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use: MB of memory on top of its own, CPU seconds a document, seconds a page; pages, pixels."""

    memory_mb: int
    cpu_s: int
    page_s: float
    max_pages: int
    max_pixels: int

    @classmethod
    def from_settings(cls, settings: Settings) -> Limits:
        """As the settings have them."""
        return cls(
            settings.memory_limit_mb,
            settings.cpu_limit_s,
            settings.page_timeout_s,
            settings.max_pages,
            settings.max_pixels,
        )


@dataclass(frozen=True, slots=True)
class Ocr:
    """Which engine reads pages without words; ``languages`` are tesseract's codes joined with +."""

    engine: Literal["auto", "tesseract", "rapidocr", "off"] = "auto"
    languages: str = "eng"


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What confines a child, what does not and why, and what came of each of its attempts (`confinement.attempts`)."""

    confinement: Confinement
    outcomes: dict[str, str]


class Sandbox:
    """A pool of ``workers`` child processes, started when first needed, replaced when they have read or grown much."""

    def __init__(self, limits: Limits, ocr: Ocr, workers: int) -> None:
        self.limits = limits
        self.ocr = ocr
        self.closed = False
        self._children: set[_Child] = set()
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()  # a warm child first, None: not started
        for _ in range(max(1, workers)):
            self._free.put(None)
        # The kernel kills a child when the thread that started it ends, so one thread starts them all and stays.
        self._starter = ThreadPoolExecutor(1, "sandbox")

    def open(self, path: Path, password: str | None = None) -> OpenedDocument:
        """Open a document in a child of its own, waiting until one is free.

        Raises the subclasses of `DocumentError`; ``OSError`` where the file can't be read.
        """
        with path.open("rb"):  # a missing or forbidden file is no fault of the document's
            pass
        child = self._free.get()
        try:
            if child and not child.running():
                self.discard(child)
                child = None
            if child is None:
                child = self.start()
            return OpenedDocument(self, child, path, password)
        except errors.DocumentError:
            self.give_back(child if child and child.running() else None)  # a refused document leaves a sound child
            raise
        except BaseException:
            if child:
                self.discard(child)
            self.give_back(None)
            raise

    def render(self, path: Path, number: int, long_edge: int, password: str | None = None) -> NDArray[np.uint8]:
        """Page ``number`` (from 1) as uint8 [height, width, 3] RGB, upright, its longer side ``long_edge`` pixels.

        Less where the pixel limit asks for it. Raises the subclasses of `DocumentError`; ``OSError``.
        """
        with self.open(path, password) as document:
            return document.render(number, long_edge)

    def close(self) -> None:
        """Kill what runs. Documents that are still open raise `ParserCrashed` at their next page."""
        self.closed = True
        for child in list(self._children):
            child.kill()
        places = 0
        with contextlib.suppress(queue.Empty):
            while True:
                if idle := self._free.get_nowait():
                    self.discard(idle)
                places += 1
        for _ in range(places):
            self._free.put(None)  # whoever waits in `open` comes to know
        self._starter.shutdown()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> _Child:
        """A fresh child. Raises `ParserCrashed` where it does not come up."""
        if self.closed:
            raise errors.ParserCrashed("The sandbox is closed.")
        child = self._starter.submit(_Child, self.limits, self.ocr).result()
        self._children.add(child)
        try:
            child.ready()
        except Died as death:
            self.discard(child)
            raise death.as_error("The process that reads documents") from None
        return child

    def self_test(self) -> SelfTest:
        """Have a child of its own try what it should not be able to do. Raises `ParserCrashed`, `ParserTimeout`."""
        child = self.start()
        try:
            with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
                (file := Path(folder) / "file").touch()
                child.ask("try", path=str(file), folder=folder, port=server.getsockname()[1])
                header, _ = child.receive("tried", START_S)
        except Died as death:
            raise death.as_error("The sandbox's self-test") from None
        finally:
            self.discard(child)
        return SelfTest(child.confinement, dict(header["outcomes"]))

    def discard(self, child: _Child) -> None:
        """Kill a child for good."""
        child.close()
        self._children.discard(child)

    def give_back(self, child: _Child | None) -> None:
        """The child, or its place in the pool, is free for the next document."""
        if child and (child.pages >= PAGES_A_CHILD or child.rss_mb > self.limits.memory_mb / 2):
            self.discard(child)
            child = None
        self._free.put(child)


class OpenedDocument:
    """A document that a child has open: ``media_type``, ``page_count``. Close it, or use it in a ``with``."""

    def __init__(self, sandbox: Sandbox, child: _Child, path: Path, password: str | None) -> None:
        self._sandbox = sandbox
        self._path = path
        self._password = password
        self._child: _Child | None = child
        self._awaited = 0  # pages asked for and not yet received
        self._closed = False
        self.media_type = ""
        self.page_count = 0
        self._open(child)

    def _open(self, child: _Child) -> None:
        try:
            with self._path.open("rb") as file:
                child.ask("open", password=self._password, file=file)
            header, _ = child.receive("opened", self._sandbox.limits.page_s)
            self.media_type, self.page_count = str(header.get("media_type")), int(header.get("page_count", 0))
        except Died as death:
            self._drop()
            raise death.as_error("The document") from None

    def pages(self, numbers: Sequence[int]) -> Iterator[Page]:
        """These pages, in this order; the child reads ahead. A page that can't be read has a problem and no words.

        Raises `ParserTimeout` or `ParserCrashed` when the document kills child after child or uses up its CPU time.
        """
        waiting = deque(numbers)
        in_a_row = in_all = 0
        while waiting:
            try:
                page = self._next_page(waiting)
                in_a_row = 0
            except Died as death:
                self._drop()
                in_a_row, in_all = in_a_row + 1, in_all + 1
                if death.final or in_a_row == DEATHS_IN_A_ROW or in_all == DEATHS_IN_ALL or self._sandbox.closed:
                    raise death.as_error(f"Page {waiting[0]}") from None
                error = death.as_error(f"Page {waiting[0]}")
                page = Page(waiting[0], 0.0, 0.0, Words.empty(), problem=Problem(error.code, str(error)))
            waiting.popleft()
            yield page

    def _next_page(self, waiting: deque[int]) -> Page:
        child = self._ready()
        if not self._awaited:
            child.ask("pages", numbers=list(waiting))
            self._awaited = len(waiting)
        with telemetry.working("text", 1):
            page = child.receive_page(waiting[0], self._sandbox.limits.page_s)
        self._awaited -= 1
        return page

    def render(self, number: int, long_edge: int) -> NDArray[np.uint8]:
        """See `Sandbox.render`."""
        if not (1 <= number <= self.page_count and long_edge >= 1):
            raise ValueError(f"page {number} of {self.page_count}, {long_edge} pixels")
        try:
            child = self._ready()
            child.ask("render", number=number, long_edge=long_edge)
            with telemetry.working("render", 1):
                return child.receive_image(self._sandbox.limits.page_s)
        except Died as death:
            self._drop()
            raise death.as_error(f"Page {number}") from None

    def _ready(self) -> _Child:
        """The child with the document open, a new one where it died."""
        if self._child is None:
            self._child = self._sandbox.start()
            self._open(self._child)
        return self._child

    def _drop(self) -> None:
        if self._child:
            self._sandbox.discard(self._child)
        self._child, self._awaited = None, 0

    def close(self) -> None:
        """Let the child go. One that still reads pages which nobody wants any more is killed."""
        if self._closed:
            return
        self._closed = True
        if self._child and (self._awaited or not self._child.let_go()):
            self._drop()
        self._sandbox.give_back(self._child)
        self._child = None

    def __enter__(self) -> OpenedDocument:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Died(Exception):
    """A child is dead: what it did, as said of a page or a document. ``final``: another child would fare no better."""

    def __init__(self, kind: type[errors.DocumentError], did: str, hint: str = "", *, final: bool = False) -> None:
        super().__init__(did)
        self.kind = kind
        self.did = did
        self.hint = hint
        self.final = final

    def as_error(self, subject: str) -> errors.DocumentError:
        """For those who asked: "Page 3" or the like did that."""
        return self.kind(f"{subject} {self.did}.", hint=self.hint)


class _Child:
    """One child process and the pipes to it. Its methods raise `Died` once it is dead, and kill it where it is not."""

    def __init__(self, limits: Limits, ocr: Ocr) -> None:
        config = {"parent": os.getpid(), "limits": asdict(limits), "ocr": asdict(ocr)}
        root = Path(__file__).resolve().parents[1]
        self._requests, theirs = socket.socketpair()
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-c", START, str(root), json.dumps(config)],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ} | ONE_THREAD,
            start_new_session=True,
        )
        theirs.close()
        assert self._process.stdout is not None
        self._answers = self._process.stdout
        _widen(self._answers.fileno())
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)
        self._limits = limits
        self.pages = 0
        self.rss_mb = 0.0
        self.confinement = Confinement((), ())

    def running(self) -> bool:
        """Whether it lives."""
        return self._process.poll() is None

    def ready(self) -> None:
        """Wait until it has come up."""
        header, _ = self.receive("ready", START_S)
        self.confinement = Confinement(tuple(header.get("holds", ())), tuple(header.get("lacks", ())))

    def ask(self, do: str, file: BinaryIO | None = None, **details: object) -> None:
        """Send a request, and an open file with it."""
        request = json.dumps({"do": do, **details}).encode() + b"\n"
        try:
            sent = socket.send_fds(self._requests, [request], [file.fileno()] if file else [])
            self._requests.sendall(request[sent:])
        except ConnectionError:
            raise self._death() from None

    def receive(self, kind: str, seconds: float) -> tuple[dict[str, Any], bytes]:
        """The next frame, which is to be of this kind. Raises the `DocumentError` that the child sends instead."""
        deadline = time.monotonic() + seconds
        try:
            head, body = frames.lengths(
                self._read(frames.LENGTHS.size, deadline, seconds), max(MOST_WORDS_BYTES, 3 * self._limits.max_pixels)
            )
            header = frames.header_of(self._read(head, deadline, seconds))
            content = self._read(body, deadline, seconds)
            if header.get("kind") == "error":
                raise BY_CODE.get(str(header.get("code")), errors.Corrupt)(
                    str(header.get("message")), hint=str(header.get("hint"))
                )
            if header.get("kind") != kind:
                raise frames.BadFrame(f"{header.get('kind')!r} in place of {kind!r}")
        except frames.BadFrame as error:
            raise self._babble(error) from None
        return header, content

    def receive_page(self, number: int, seconds: float) -> Page:
        """Page ``number``."""
        header, body = self.receive("page", seconds)
        self.pages += 1
        try:
            return frames.unpack_page(header, body, number)
        except frames.BadFrame as error:
            raise self._babble(error) from None

    def receive_image(self, seconds: float) -> NDArray[np.uint8]:
        """A rendered page."""
        header, body = self.receive("image", seconds)
        try:
            return frames.unpack_image(header, body)
        except frames.BadFrame as error:
            raise self._babble(error) from None

    def let_go(self) -> bool:
        """Have it close its document; False where it is dead or does not answer as it should."""
        try:
            self.ask("close")
            header, _ = self.receive("closed", CLOSE_S)
            self.rss_mb = float(header["rss_mb"])
        except (Died, errors.DocumentError, KeyError, TypeError, ValueError):
            return False
        return True

    def kill(self) -> None:
        """Kill its process group, tesseract included, and wait. Its pipes stay open for whoever reads them."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        """Kill it and close the pipes."""
        self.kill()
        for pipe in (self._requests, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()

    def _read(self, count: int, deadline: float, seconds: float) -> bytes:
        read = bytearray()
        while len(read) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(1000 * left):
                self.kill()
                raise Died(
                    errors.ParserTimeout, f"took longer than {seconds:g} s", "The setting page_timeout_s limits it."
                )
            part = self._answers.read(min(count - len(read), PIPE_BYTES))
            if not part:
                raise self._death()
            read += part
        return bytes(read)

    def _babble(self, error: frames.BadFrame) -> Died:
        self.kill()
        return Died(errors.ParserCrashed, f"made the process that read it send nonsense ({error})")

    def _death(self) -> Died:
        self.kill()
        status = self._process.returncode
        if status == -signal.SIGXCPU:
            return Died(
                errors.ParserTimeout,
                f"brought the document over its limit of {self._limits.cpu_s} CPU seconds",
                "The setting cpu_limit_s sets it.",
                final=True,
            )
        if status == OUT_OF_MEMORY:
            return Died(
                errors.ParserCrashed,
                f"takes more than {self._limits.memory_mb} MB of memory to read",
                "The setting memory_limit_mb limits it.",
            )
        how = f"by signal {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
        return Died(errors.ParserCrashed, f"ended the process that read it {how}")


def _widen(pipe: int) -> None:
    """Room to read ahead; where the system has no more to give, the default of 64 KB does."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
