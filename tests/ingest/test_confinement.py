import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from ingest import seccomp
from ingest.confinement import executable, readable
from ingest.sandbox import Limits, Ocr, Sandbox, SelfTest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has Landlock and seccomp")
ROOT = Path(__file__).parents[2]
LIMITS = Limits(memory_mb=1024, cpu_s=60, page_s=30.0, max_pages=100, max_pixels=10_000_000)
LANDLOCK, SECCOMP = 444, {"x86_64": 317, "aarch64": 277}
FILES = {"read other files", "write files", "change files"}
TRIED = {"connect by TCP", "send by UDP", "signal other processes", "start programs", *FILES}
DENIED = (seccomp.NETWORK, seccomp.PROCESSES, seccomp.FILES, seccomp.KERNEL)
needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
MakePdf = Callable[[str, list[str]], Path]


def allowed(test: SelfTest) -> set[str]:
    """What worked. Everything else has to have been denied, not to have failed for another reason."""
    assert set(test.outcomes) == TRIED
    assert set(test.outcomes.values()) <= {"", "denied"}, test.outcomes
    return {what for what, outcome in test.outcomes.items() if outcome == ""}


def self_test(ocr: str) -> SelfTest:
    with Sandbox(LIMITS, Ocr(ocr), 1) as sandbox:  # type: ignore[arg-type]
        test = sandbox.self_test()
    if test.confinement.lacks:
        pytest.skip("; ".join(test.confinement.lacks))
    return test


def test_a_child_reaches_no_network_no_file_no_process() -> None:
    assert allowed(self_test("off")) == set()


@needs_tesseract
def test_a_child_that_does_ocr_starts_programs_and_nothing_else() -> None:
    assert allowed(self_test("tesseract")) == {"start programs"}


def without(calls: list[int], program: str) -> subprocess.CompletedProcess[str]:
    """Run a program as on a kernel that does not know these system calls."""
    numbers = ",".join(map(str, calls))
    setup = f"""
import ctypes, errno, sys
sys.path.insert(0, {str(ROOT)!r})
from ingest import seccomp
assert ctypes.CDLL(None).prctl(38, *map(ctypes.c_ulong, (1, 0, 0, 0))) == 0
filter_ = [(seccomp.LOAD, 0, 0, seccomp.NUMBER)]
for call in [{numbers}]:
    filter_ += [(seccomp.EQUAL, 0, 1, call), (seccomp.RETURN, 0, 0, 0x50000 | errno.ENOSYS)]
seccomp.install([*filter_, (seccomp.RETURN, 0, 0, seccomp.ALLOW)])
"""
    return subprocess.run(
        [sys.executable, "-c", setup + program], capture_output=True, text=True, check=True, cwd=ROOT, timeout=100
    )


ROW = """
import json
from api.checks import _sandbox
from folioscope.settings import Settings
row = _sandbox(Settings(ocr="off"))
print(json.dumps([row.state, row.detail, row.hint]))
"""


@pytest.mark.parametrize(
    ("missing", "lost"),
    [
        ("landlock", {"read other files"}),
        ("seccomp", {"change files", "send by UDP"}),  # and, where Landlock is older than its sixth version, more
        ("both", TRIED),
    ],
)
def test_where_the_kernel_has_less_pages_are_read_and_doctor_says_what_is_missing(missing: str, lost: set[str]) -> None:
    self_test("off")  # skips where something is missing without our doing
    calls = {"landlock": [LANDLOCK], "seccomp": [SECCOMP[os.uname().machine]]}
    calls["both"] = calls["landlock"] + calls["seccomp"]
    state, detail, hint = json.loads(without(calls[missing], ROW).stdout)
    assert (state, "stranger" in hint) == ("note", True)
    assert "reads pages within 2048 MB" in detail
    for means, name in (("landlock", "Landlock"), ("seccomp", "seccomp")):
        assert (f"missing: {name}: this kernel has none" in detail) == (missing in (means, "both"))
    could = re.search(r"it tried and could: ([^;]*)", detail)
    assert could is not None
    assert lost <= set(could[1].split(", "))
    if missing == "landlock":
        assert set(could[1].split(", ")) == lost


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_child_may_read_what_python_and_the_system_need_and_no_home(tmp_path: Path) -> None:
    for path in [*readable(), *executable()]:
        assert not Path.home().is_relative_to(path)
        assert not tmp_path.is_relative_to(path)
        assert path != ROOT


@needs_tesseract
def test_a_tesseract_outside_the_system_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Path(str(shutil.which("tesseract"))).resolve()
    (tmp_path / "own/bin").mkdir(parents=True)
    shutil.copy(program, tmp_path / "own/bin")
    monkeypatch.setenv("PATH", str(tmp_path / "own/bin"))
    assert executable()[-1] == tmp_path / "own/share/tessdata"
    image = Image.new("L", (900, 200), 255)
    ImageDraw.Draw(image).text((60, 60), "Reminders follow monthly", fill=0, font_size=50)
    image.save(tmp_path / "scan.png")
    with Sandbox(LIMITS, Ocr("tesseract"), 1) as sandbox, sandbox.open(tmp_path / "scan.png") as document:
        (page,) = document.pages([1])
    assert (page.problem, page.words.text()) == (None, "Reminders follow monthly")


def test_a_tesseract_that_cannot_be_started_is_a_problem_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tools").mkdir()  # not "bin": out of a confined child's reach
    shutil.copy("/bin/true", tmp_path / "tools/tesseract")
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    self_test("off")
    Image.linear_gradient("L").save(tmp_path / "scan.png")
    with Sandbox(LIMITS, Ocr("tesseract"), 1) as sandbox, sandbox.open(tmp_path / "scan.png") as document:
        (page,) = document.pages([1])
    assert page.problem is not None
    assert page.problem.code == "ocr_failed"
    assert "can't be started" in page.problem.message


# --- the filter -----------------------------------------------------------------------------------------------------


def verdict(filter_: list[seccomp.Instruction], architecture: int, call: int, *arguments: int) -> int:
    """What the kernel would do: ``seccomp.ALLOW``, ``seccomp.KILL`` or the number of an error."""
    data = {seccomp.NUMBER: call, seccomp.ARCHITECTURE: architecture}
    data |= {16 + 8 * place: argument & 0xFFFFFFFF for place, argument in enumerate((*arguments, 0, 0, 0))}
    tests = {
        seccomp.EQUAL: lambda a, k: a == k,
        seccomp.AT_LEAST: lambda a, k: a >= k,
        seccomp.ANY_BIT: lambda a, k: a & k,
    }
    at = loaded = 0
    while True:
        code, if_true, if_false, operand = filter_[at]
        at += 1
        if code == seccomp.RETURN:
            return operand & 0xFFFF if operand >> 16 == 5 else operand
        if code == seccomp.LOAD:
            loaded = data[operand]
        else:
            at += if_true if tests[code](loaded, operand) else if_false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("programs", [True, False])
def test_what_the_filter_decides(machine: str, programs: bool) -> None:
    filter_ = seccomp.program(machine, 4321, programs=programs)
    architecture = seccomp.MACHINES[machine][0]
    looked_at = seccomp.numbers(seccomp.LOOKED_AT, machine)
    others = seccomp.numbers(seccomp.PROGRAMS, machine)
    yes, no, none = seccomp.ALLOW, errno.EPERM, errno.ESRCH

    def decides(call: int, *arguments: int) -> int:
        return verdict(filter_, architecture, call, *arguments)

    assert verdict(filter_, architecture ^ 1, 0) == seccomp.KILL
    for table in DENIED:
        assert {decides(call) for call in seccomp.numbers(table, machine).values()} == {no}
    assert {decides(call) for call in seccomp.numbers(seccomp.ABSENT, machine).values()} == {errno.ENOSYS}
    assert {decides(seccomp.NEWEST + 1), decides(0x40000000)} == {errno.ENOSYS}
    assert decides(others["execve"]) == (yes if programs else no)
    openat = looked_at["openat"]
    assert [decides(openat, 0, 0, flags) for flags in (0, os.O_CLOEXEC, os.O_WRONLY, os.O_RDWR)] == [yes, yes, no, no]
    assert decides(openat, 0, 0, os.O_CREAT) == no
    assert [decides(looked_at["kill"], pid, 9) for pid in (4321, 1, 0, -1)] == [yes, none, none, none]
    assert [decides(looked_at["tgkill"], pid, 9) for pid in (4321, 1)] == [yes, none]
    assert [decides(looked_at["prlimit64"], pid) for pid in (0, 4321)] == [yes, no]
    a_thread, a_process, a_world = 0x3D0F00, 0x1200011, 0x10000000
    wanted = [yes, yes if programs else no, no]
    assert [decides(looked_at["clone"], flags) for flags in (a_thread, a_process, a_world)] == wanted
    read, write = {"x86_64": (0, 1), "aarch64": (63, 64)}[machine]
    assert (decides(read), decides(write)) == (yes, yes)


@pytest.mark.parametrize(
    ("machine", "header"),
    [("x86_64", "x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "asm-generic/unistd.h")],
)
def test_numbers_are_those_of_the_kernel_s_headers(machine: str, header: str) -> None:
    path = Path("/usr/include") / header
    if not path.exists():
        pytest.skip("the kernel's headers are not installed")
    theirs: dict[str, int] = {}
    for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text()):
        theirs.setdefault(name, int(number))
    newer = {"fchmodat2"}  # than the headers of Debian 12
    for table in (*DENIED, seccomp.LOOKED_AT, seccomp.ABSENT, seccomp.PROGRAMS):
        ours = seccomp.numbers(table, machine)
        assert {name: theirs.get(name, ours[name] if name in newer else None) for name in ours} == ours
        missing = {entry.split()[0] for entry in table.split(";")} - ours.keys()
        assert not missing & theirs.keys()
