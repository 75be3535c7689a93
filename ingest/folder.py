"""The data folder: where everything lives, and the lock that lets one process open it at a time.

The embedded engines have one opener each, so the lock is the whole folder's. It is the operating system's advisory lock
on ``lock``: it goes with the process, however that ends. The file says who holds it, and where, if it is a server.
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
from typing import Any

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
            holder = _holder(os.read(self._lock, 4096))
            os.close(self._lock)
            raise DataFolderBusy(
                f"The data folder {self.path} is open in another process{_describe(holder)}.",
                hint="Wait until it ends, or name another folder with --data-dir or FOLIOSCOPE_DATA_DIR.",
                url=str(holder.get("url", "")),
                secret=str(holder.get("secret", "")),
            ) from None
        self._write({})

    def _write(self, more: dict[str, str]) -> None:
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, json.dumps({"pid": os.getpid(), "command": command, **more}).encode(), 0)

    @contextmanager
    def announced(self, url: str, secret: str) -> Iterator[None]:
        """As long as the block runs, the lock says that this process is a server, where, and the secret by which it
        knows whoever can read the file: the folder's owner.
        """
        os.fchmod(self._lock, 0o600)
        with storage_errors(self.path):
            self._write({"url": url, "secret": secret})
        try:
            yield
        finally:
            if self._lock >= 0:
                self._write({})

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def close(self) -> None:
        """Give the lock back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _holder(written: bytes) -> dict[str, Any]:
    """What the lock says of the process that has it; nothing where that process is no more: another has just taken the
    lock and not said yet who it is.
    """
    try:
        who: dict[str, Any] = json.loads(written)
        os.kill(int(who["pid"]), 0)
    except PermissionError:
        return who
    except (ValueError, KeyError, TypeError, OSError, OverflowError):
        return {}
    return who


def _describe(holder: dict[str, Any]) -> str:
    return f": {holder['command']!r}, process {holder['pid']}" if "command" in holder else ""


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
