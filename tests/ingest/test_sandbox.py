import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pymupdf
import pytest
from PIL import Image

import ingest.sandbox
from folioscope.errors import Corrupt, Encrypted, ParserCrashed, ParserTimeout
from folioscope.settings import Settings
from ingest.sandbox import Limits, Ocr, Sandbox
from ingest.sources import open_source

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
LIMITS = Limits(memory_mb=1024, cpu_s=60, page_s=30.0, max_pages=100, max_pixels=10_000_000)
OFF = Ocr("off")
MakePdf = Callable[[str, list[str]], Path]


def children() -> set[int]:
    """The processes that this one has started and that are not dead."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that ended meanwhile
            found |= {int(pid) for pid in (task / "children").read_text().split() if state(int(pid)) not in "ZX"}
    return found


def state(pid: int) -> str:
    """A process's state; X when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


@pytest.fixture
def started() -> Iterator[Callable[[], set[int]]]:
    """The children that were started since; none may be left in the end."""
    before = children()
    yield lambda: children() - before
    assert children() <= before


def with_limits(**changes: float) -> Limits:
    return Limits(**{name: changes.get(name, getattr(LIMITS, name)) for name in LIMITS.__slots__})  # type: ignore[arg-type]


def slow_pdf(path: Path, slow: list[bool]) -> Path:
    """Pages that draw a form that draws a form ... ten times each, eight deep, where ``slow`` says so."""
    with pymupdf.open() as pdf:
        for page_is_slow in slow:
            page = pdf.new_page(width=300, height=300)
            page.insert_text((20, 20), "words")
            if not page_is_slow:
                continue
            inner = None
            for _ in range(8):
                form = pdf.get_new_xref()
                uses = f"/Resources<</XObject<</F {inner} 0 R>>>>" if inner else ""
                pdf.update_object(form, f"<</Type/XObject/Subtype/Form/BBox[0 0 300 300]{uses}>>")
                pdf.update_stream(form, b"/F Do " * 10 if inner else b"0 0 9 9 re f")
                inner = form
            pdf.xref_set_key(page.xref, "Resources", f"<</XObject<</F {inner} 0 R>>>>")
            xref = page.get_contents()[0]
            pdf.update_stream(xref, pdf.xref_stream(xref) + b"\n/F Do")
        pdf.save(path)
    return path


def test_pages_come_as_the_source_gives_them(make_pdf: MakePdf, started: Callable[[], set[int]]) -> None:
    path = make_pdf("a.pdf", [f"page {n} of many" for n in range(1, 31)])
    source = open_source(path, None, max_pages=100, max_pixels=10_000_000)
    with Sandbox(LIMITS, OFF, 1) as sandbox:
        with sandbox.open(path) as document:
            assert (document.media_type, document.page_count) == ("application/pdf", 30)
            pages = list(document.pages(range(1, 31)))
            assert [page.number for page in document.pages([5, 3])] == [5, 3]
        assert (sandbox.render(path, 2, 500) == source.render(2, 500)).all()
        assert len(started()) == 1
    for page in pages:
        expected = source.read(page.number, None)
        assert (page.width, page.height, page.flags, page.problem) == (420, 595, (), None)
        assert list(page.words.texts) == list(expected.words.texts) == ["page", str(page.number), "of", "many"]
        assert (page.words.boxes == expected.words.boxes).all()


def test_a_refused_document_leaves_a_sound_child(
    make_pdf: MakePdf, tmp_path: Path, started: Callable[[], set[int]]
) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 broken")
    locked = tmp_path / "locked.pdf"
    with pymupdf.open(make_pdf("a.pdf", ["open"])) as pdf:
        pdf.save(locked, encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="word")
    with Sandbox(LIMITS, OFF, 1) as sandbox:
        with pytest.raises(Corrupt):
            sandbox.open(broken)
        first = started()
        with pytest.raises(Encrypted):
            sandbox.open(locked)
        with pytest.raises(FileNotFoundError):
            sandbox.open(tmp_path / "absent.pdf")
        with sandbox.open(locked, "word") as document:
            assert [page.words.text() for page in document.pages([1])] == ["open"]
        assert started() == first


def test_children_have_no_secrets_and_their_own_group(
    make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch, started: Callable[[], set[int]]
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    with Sandbox(LIMITS, OFF, 1) as sandbox, sandbox.open(make_pdf("a.pdf", ["x"])):
        (pid,) = started()
        names = {line.split(b"=")[0].decode() for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert os.getpgid(pid) == pid
    assert names - {""} <= {*ingest.sandbox.ENVIRONMENT, *ingest.sandbox.ONE_THREAD}
    (most,) = [line.split()[3] for line in limits.splitlines() if line.startswith("Max address space")]
    assert LIMITS.memory_mb < int(most) >> 20 < LIMITS.memory_mb + 1000


def test_a_killed_child_costs_one_page(make_pdf: MakePdf, started: Callable[[], set[int]]) -> None:
    path = make_pdf("a.pdf", ["\n".join(["many words " * 8] * 40)] * 90)
    with Sandbox(LIMITS, OFF, 1) as sandbox, sandbox.open(path) as document:
        pages = []
        for page in document.pages(range(1, 91)):
            pages.append(page)
            if page.number == 2:
                (pid,) = started()
                os.kill(pid, signal.SIGKILL)
    assert [page.number for page in pages] == list(range(1, 91))
    (bad,) = [page for page in pages if page.problem]
    assert bad.problem is not None
    assert bad.problem.code == "parser_crashed"
    assert "SIGKILL" in bad.problem.message


def test_an_idle_child_that_was_killed_is_replaced(make_pdf: MakePdf, started: Callable[[], set[int]]) -> None:
    path = make_pdf("a.pdf", ["x"])
    with Sandbox(LIMITS, OFF, 1) as sandbox:
        sandbox.open(path).close()
        (pid,) = started()
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
        with sandbox.open(path) as document:
            assert document.page_count == 1
        assert pid not in started()


def test_a_page_that_takes_too_long_is_a_page_with_a_problem(tmp_path: Path, started: Callable[[], set[int]]) -> None:
    path = slow_pdf(tmp_path / "a.pdf", [False, True, False])
    with Sandbox(with_limits(page_s=1.5), OFF, 1) as sandbox, sandbox.open(path) as document:
        pages = list(document.pages([1, 2, 3]))
        assert [page.problem and page.problem.code for page in pages] == [None, "parser_timeout", None]
        assert pages[2].words.text() == "words"
        with pytest.raises(ParserTimeout, match=r"Page 2 took longer than 1.5 s"):
            document.render(2, 100)


def test_a_document_that_kills_child_after_child_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Callable[[], set[int]]
) -> None:
    monkeypatch.setattr(ingest.sandbox, "DEATHS_IN_A_ROW", 2)
    path = slow_pdf(tmp_path / "a.pdf", [True] * 3)
    with Sandbox(with_limits(page_s=1.0), OFF, 1) as sandbox:
        with sandbox.open(path) as document:
            pages = document.pages([1, 2, 3])
            assert next(pages).problem is not None
            with pytest.raises(ParserTimeout, match="Page 2"):
                next(pages)
        assert started() == set()


def test_a_document_has_a_limit_on_cpu_time(tmp_path: Path, started: Callable[[], set[int]]) -> None:
    path = slow_pdf(tmp_path / "a.pdf", [True, False])
    with (
        Sandbox(with_limits(cpu_s=1), OFF, 1) as sandbox,
        sandbox.open(path) as document,
        pytest.raises(ParserTimeout, match="limit of 1 CPU seconds"),
    ):
        list(document.pages([1, 2]))


def test_a_page_that_takes_too_much_memory_is_a_page_with_a_problem(
    tmp_path: Path, started: Callable[[], set[int]]
) -> None:
    path = tmp_path / "a.tif"
    frames = [Image.new("1", (side, side), 1) for side in (20, 9000, 30)]
    frames[0].save(path, save_all=True, append_images=frames[1:], compression="group4")
    assert path.stat().st_size < 100_000
    limits = with_limits(memory_mb=256, max_pixels=100_000_000)
    with Sandbox(limits, OFF, 1) as sandbox, sandbox.open(path) as document:
        pages = list(document.pages([1, 2, 3]))
    assert [page.width for page in pages] == [20, 0, 30]
    problem = pages[1].problem
    assert problem is not None
    assert (problem.code, "256 MB of memory" in problem.message) == ("parser_crashed", True)


def test_a_pdf_larger_than_the_memory_limit_is_refused(tmp_path: Path, started: Callable[[], set[int]]) -> None:
    path = tmp_path / "large.pdf"
    path.write_bytes(b"%PDF-1.7")
    os.truncate(path, 300 << 20)
    with Sandbox(with_limits(memory_mb=256), OFF, 1) as sandbox, pytest.raises(ParserCrashed, match="256 MB") as error:
        sandbox.open(path)
    assert "memory_limit_mb" in error.value.hint


def test_pages_that_nobody_wants_any_more(make_pdf: MakePdf, started: Callable[[], set[int]]) -> None:
    path = make_pdf("a.pdf", ["x"] * 50)
    with Sandbox(LIMITS, OFF, 1) as sandbox:
        with sandbox.open(path) as document:
            assert next(document.pages(range(1, 51))).number == 1
        with sandbox.open(path) as document:
            assert [page.number for page in document.pages([50])] == [50]


def test_children_are_replaced_when_they_have_read_enough(
    make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch, started: Callable[[], set[int]]
) -> None:
    monkeypatch.setattr(ingest.sandbox, "PAGES_A_CHILD", 3)
    path = make_pdf("a.pdf", ["x"] * 2)
    seen = []
    with Sandbox(LIMITS, OFF, 1) as sandbox:
        for _ in range(3):
            with sandbox.open(path) as document:
                list(document.pages([1, 2]))
                seen.append(started())
    assert seen[0] == seen[1]
    assert seen[1].isdisjoint(seen[2])


def test_open_waits_for_a_free_child(make_pdf: MakePdf, started: Callable[[], set[int]]) -> None:
    path = make_pdf("a.pdf", ["x"])
    with Sandbox(LIMITS, OFF, 1) as sandbox:
        first = sandbox.open(path)
        done = threading.Event()

        def second() -> None:
            sandbox.open(path).close()
            done.set()

        thread = threading.Thread(target=second)
        thread.start()
        assert not done.wait(0.3)
        first.close()
        assert done.wait(10)
        thread.join()
        assert len(started()) == 1


def test_a_child_outlives_the_thread_that_opened_it(make_pdf: MakePdf, started: Callable[[], set[int]]) -> None:
    path = make_pdf("a.pdf", ["x"])
    with Sandbox(LIMITS, OFF, 1) as sandbox:
        thread = threading.Thread(target=lambda: sandbox.open(path).close())
        thread.start()
        thread.join()
        before = started()
        with sandbox.open(path) as document:
            assert [page.problem for page in document.pages([1])] == [None]
        assert started() == before


def test_after_close_nothing_runs_and_nothing_opens(make_pdf: MakePdf, started: Callable[[], set[int]]) -> None:
    path = make_pdf("a.pdf", ["x"] * 5)
    sandbox = Sandbox(LIMITS, OFF, 2)
    first, second = sandbox.open(path), sandbox.open(path)
    assert len(started()) == 2
    sandbox.close()
    assert started() == set()
    with pytest.raises(ParserCrashed):
        list(first.pages([1, 2]))
    first.close()
    second.close()
    with pytest.raises(ParserCrashed, match="closed"):
        sandbox.open(path)


def test_no_child_is_left_when_the_parent_is_killed(make_pdf: MakePdf, tmp_path: Path) -> None:
    path = slow_pdf(tmp_path / "slow.pdf", [True])
    program = f"""
import sys; sys.path.append({str(Path(ingest.sandbox.__file__).parents[1])!r})
from pathlib import Path
from ingest.sandbox import Limits, Ocr, Sandbox
document = Sandbox(Limits(1024, 60, 60.0, 100, 10_000_000), Ocr("off"), 1).open(Path({str(path)!r}))
print(document._child._process.pid, flush=True)
list(document.pages([1]))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.5)  # it is in the middle of the page
        assert state(child) not in "ZX"
        parent.kill()
    deadline = time.monotonic() + 5
    while state(child) not in "ZX" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert state(child) in "ZX"


def test_limits_come_from_the_settings() -> None:
    limits = Limits.from_settings(Settings(max_pages=7, page_timeout_s=3, memory_limit_mb=300))
    assert (limits.max_pages, limits.page_s, limits.memory_mb, limits.max_pixels) == (7, 3.0, 300, 40_000_000)
