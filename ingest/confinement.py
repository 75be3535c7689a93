"""What a child that reads documents may do, and how a child finds out whether that holds.

It is handed the document as an open descriptor, so it needs no file but those of Python and of the system. Two means of
Linux take the rest away, neither of which asks for root: Landlock (files, TCP, signals) and a seccomp filter (network,
changes to files, other processes). Either works without the other; where both are missing the limits of
``ingest.sandbox`` stand alone. `attempts` tries instead of believing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38
PACKAGES = ("folioscope", "ingest")
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/nix/store", "/gnu/store", "/home/linuxbrew/.linuxbrew")
SINGLE = ("/etc/ld.so.cache", "/etc/ld.so.preload", "/proc/cpuinfo", "/sys/devices/system/cpu", "/dev/null")
DENIED = (errno.EPERM, errno.EACCES, errno.ESRCH)


@dataclass(frozen=True, slots=True)
class Confinement:
    """``holds``: what confines this process. ``lacks``: what does not, and why."""

    holds: tuple[str, ...]
    lacks: tuple[str, ...]


def confine(*, programs: bool) -> Confinement:
    """Give up, for good, what reading documents does not need. Call it before there is a second thread.

    ``programs``: whether tesseract is to be started; it is confined as this process is.
    """
    if sys.platform != "linux":
        return Confinement((), ("Landlock and seccomp: there are none outside Linux",))
    if (error := _no_new_privileges()) is not None:
        return Confinement((), (f"Landlock and seccomp: the kernel does not take no_new_privs ({error})",))
    from ingest import landlock, seccomp

    holds, lacks = [], []
    try:
        holds.append(f"Landlock {landlock.restrict(readable(), executable() if programs else ())}")
    except OSError as problem:
        lacks.append(f"Landlock: {_why(problem)}")
    try:
        seccomp.restrict(programs=programs)
        holds.append("seccomp")
    except OSError as problem:
        lacks.append(f"seccomp: {_why(problem)}")
    except NotImplementedError as problem:
        lacks.append(f"seccomp: {problem}")
    return Confinement(tuple(holds), tuple(lacks))


def _no_new_privileges() -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))) == 0:
        return None
    return os.strerror(ctypes.get_errno())


def _why(problem: OSError) -> str:
    if problem.errno == errno.ENOSYS:
        return "this kernel has none"
    if problem.errno == errno.EOPNOTSUPP:
        return "this kernel has it switched off"
    return f"not allowed here ({problem.strerror})"


def readable() -> list[Path]:
    """Files and folders of Python, of its packages and of the system: nothing of a user's."""
    python = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    ours = [Path(__file__).resolve().parents[1] / name for name in PACKAGES]
    return [*map(Path, sorted(python)), *map(Path, SYSTEM), *map(Path, SINGLE), *ours]


def executable() -> list[Path]:
    """Folders of programs: those of the system, and those around a tesseract that is somewhere else."""
    found = shutil.which("tesseract")
    places = {Path(found).parents[1], Path(found).resolve().parents[1]} if found else set()
    around = [place / name for place in sorted(places) for name in ("bin", "lib", "lib64", "share/tessdata")]
    named = [os.environ.get("TESSDATA_PREFIX", ""), *os.environ.get("LD_LIBRARY_PATH", "").split(":")]
    return [*map(Path, SYSTEM), *around, *(Path(name) for name in named if name)]


# --- the self-test --------------------------------------------------------------------------------------------------


def attempts(path: str, folder: str, port: int) -> dict[str, str]:
    """What came of trying what a document's reader has no business with: "" done, "denied", or another error.

    ``path`` is a file, ``folder`` is there; on ``port`` of this host somebody listens.
    """
    tries: dict[str, Callable[[], object]] = {
        "connect by TCP": lambda: socket.create_connection(("127.0.0.1", port), 5).close(),
        "send by UDP": lambda: _send(port),
        "read other files": Path(path).read_bytes,
        "write files": lambda: Path(folder, "written").write_bytes(b""),
        "change files": lambda: Path(path).chmod(0o600),
        "signal other processes": lambda: os.kill(os.getppid(), 0),
        "start programs": lambda: subprocess.run(["/bin/sh", "-c", ":"], check=True),
    }
    return {what: _outcome(attempt) for what, attempt in tries.items()}


def _send(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.sendto(b"", ("127.0.0.1", port))


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return "denied" if error.errno in DENIED else str(error)
    except subprocess.SubprocessError as error:
        return str(error)
    return ""
