"""The data folder: where everything lives, and the lock that lets one process open it at a time.

The embedded engines have one opener each, so the lock is the whole folder's. It is the operating system's advisory lock
on ``lock``: it goes with the process, however that ends. The file says who holds it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from folioscope.errors import DataFolderBusy, DiskFull, StorageError


class DataFolder:
    """An opened, locked data folder. Raises `DataFolderBusy` naming the process that has it, `StorageError`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        with storage_errors(self.path):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)  # words and passwords lie here
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._lock, 4096)
            os.close(self._lock)
            raise DataFolderBusy(
                f"The data folder {self.path} is open in another process{_describe(holder)}.",
                hint="Wait until it ends, or name another folder with --data-dir or FOLIOSCOPE_DATA_DIR.",
            ) from None
        os.ftruncate(self._lock, 0)
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
        os.pwrite(self._lock, json.dumps({"pid": os.getpid(), "command": command}).encode(), 0)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def close(self) -> None:
        """Give the lock back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _describe(holder: bytes) -> str:
    try:
        who = json.loads(holder)
        return f": {who['command']!r}, process {who['pid']}"
    except (ValueError, KeyError, TypeError):
        return ""


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Operating-system errors about ``path`` as ours."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"No space left on the disk of {path}.",
                hint="Free some space and run the same command again; what is ready stays.",
            ) from error
        raise StorageError(
            f"{path} can't be used: {error.strerror or error}.", hint="Check the folder's rights."
        ) from error
