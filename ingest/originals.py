"""Where originals lie: each once, under the sha256 of its bytes. In a folder here, in `ingest.bucket` on S3."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from folioscope.errors import ConfigError, Unreadable
from ingest.folder import storage_errors

PARTIAL = ".part-"
"""How files begin that are still being written."""

LEFT_SECONDS = 24 * 3600.0
"""After which nobody goes on writing a file in a shared folder."""


class Originals(Protocol):
    """Any thread may call. Methods raise `StorageError` and `DiskFull`."""

    folder: Path
    """Where a file is to be written that `keep` is then given."""

    def keep(self, file: Path, sha256: str) -> None:
        """Store a file of ``folder``, whose bytes have that hash, for good: it is moved. Once is enough."""
        ...

    def open(self, sha256: str) -> AbstractContextManager[Path]:
        """A path to read it from, which holds as long as the context.

        Raises `Unreadable` where it is not stored or has other bytes than were stored.
        """
        ...

    def has(self, sha256: str) -> bool:
        """Whether it is stored."""
        ...

    def remove(self, sha256: str) -> None:
        """Delete it; what is not there is no error."""
        ...

    def hashes(self) -> Iterator[str]:
        """Of all that is stored."""
        ...


class Folder:
    """Originals in a folder of this machine. Half-written files of killed processes are removed when it is opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob(f"{PARTIAL}*"):
                if self._is_left(path):
                    path.unlink(missing_ok=True)

    def path(self, sha256: str) -> Path:
        """Where it lies, or would."""
        return self.folder / sha256[:2] / sha256

    def keep(self, file: Path, sha256: str) -> None:
        """See `Originals`."""
        target = self.path(sha256)
        with storage_errors(target):
            target.parent.mkdir(exist_ok=True)
            file.replace(target)

    @contextmanager
    def open(self, sha256: str) -> Iterator[Path]:
        """See `Originals`; its bytes are as they were written, or the disk is broken."""
        path = self.path(sha256)
        if not path.is_file():
            raise Unreadable(f"The original {sha256} is not stored any more.", hint="Ingest the file again.")
        yield path

    def has(self, sha256: str) -> bool:
        """See `Originals`."""
        return self.path(sha256).is_file()

    def remove(self, sha256: str) -> None:
        """See `Originals`."""
        with storage_errors(self.path(sha256)):
            self.path(sha256).unlink(missing_ok=True)

    def hashes(self) -> Iterator[str]:
        """See `Originals`."""
        yield from [path.name for path in self.folder.glob("??/*")]

    def _is_left(self, path: Path) -> bool:  # noqa: ARG002
        """Whether nobody goes on writing a half-written file: the data folder has one process, which has just opened
        it.
        """
        return True


class SharedFolder(Folder):
    """Originals in a folder that several hosts have, such as one on NFS. ``url``: ``file:///folder``.

    The file ``owner`` holds the id of the catalog whose originals these are: two catalogs would remove each other's.
    Raises `ConfigError` where it is another's.
    """

    def __init__(self, url: str, *, owner: str) -> None:
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise ConfigError(f"files_url can't be used: {url!r}.", hint="Write file:///absolute/path.")
        super().__init__(Path(unquote(parts.path)))
        self._claim(url, owner)

    def _claim(self, url: str, owner: str) -> None:
        mark = self.folder / "owner"
        with storage_errors(mark):
            try:
                with mark.open("x") as file:
                    file.write(owner)
            except FileExistsError:
                found = mark.read_text()
                if found not in ("", owner):  # empty: of a process that was killed, or that is about to write it
                    raise ConfigError(
                        f"{url} holds the files of another catalog ({found}); this one is {owner}.",
                        hint="Give each catalog a folder of its own in files_url.",
                    ) from None

    def _is_left(self, path: Path) -> bool:
        """Other hosts write here, too."""
        try:
            return time.time() - path.stat().st_mtime > LEFT_SECONDS
        except FileNotFoundError:
            return False
