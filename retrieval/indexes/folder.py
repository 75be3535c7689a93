"""What indexes in a folder of their own have in common: the fingerprint beside the data, free space, errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from folioscope.domain import Fingerprint
from folioscope.errors import DiskFull, FingerprintMismatch, FolioscopeError, StorageError

REBUILD = "folioscope collections rebuild"
RESERVE = 128 * 2**20  # bytes


def prepare(
    folder: Path, fingerprint: Fingerprint, parts: Sequence[str], fill: Callable[[Path], None] = lambda _: None
) -> None:
    """Make the folder with ``parts`` (folders) and fingerprint.json unless it is there; `check_fingerprint`.

    It appears complete, in one rename: ``fill`` writes into it before. Raises `DiskFull` where there is no room.
    """
    if not folder.exists() or not any(folder.iterdir()):
        with storage_errors(folder, "made"):
            folder.parent.mkdir(parents=True, exist_ok=True)
            check_space(folder, RESERVE)
            unfinished = folder.with_name(f"{folder.name}.new")
            shutil.rmtree(unfinished, ignore_errors=True)
            for part in parts:
                (unfinished / part).mkdir(parents=True)
            fill(unfinished)
            (unfinished / "fingerprint.json").write_text(json.dumps(fingerprint.asdict(), indent=1))
            unfinished.replace(folder)
    check_fingerprint(folder, fingerprint)


def check_fingerprint(folder: Path, fingerprint: Fingerprint) -> None:
    """Raise `FingerprintMismatch` where the folder holds other vectors, `StorageError` where it does not say."""
    try:
        stored = Fingerprint(**json.loads((folder / "fingerprint.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise damaged(folder, "opened", error) from error
    if stored != fingerprint:
        raise mismatch(f"in {folder}", stored, fingerprint)


def mismatch(place: str, stored: object, wanted: Fingerprint) -> FingerprintMismatch:
    """The error for an index that holds another encoder's vectors."""
    return FingerprintMismatch(
        f"The index {place} was made with {stored}, the encoder is {wanted}.",
        hint=f"Use the encoder that it was made with, or rebuild it with `{REBUILD}`.",
    )


def check_space(folder: Path, needed: int) -> None:
    """Raise `DiskFull` where fewer than ``needed`` bytes are free.

    Engines write through memory maps: on a full disk the kernel would end the process (SIGBUS), without an error.
    """
    free = shutil.disk_usage(folder.parent).free
    if free < needed:
        raise disk_full(folder, f"{free >> 20} MB are free, {needed >> 20} MB are needed")


@contextmanager
def storage_errors(folder: Path, done: str) -> Iterator[None]:
    """What goes wrong inside becomes a `StorageError` that names the folder and what could not be ``done``."""
    try:
        yield
    except (FolioscopeError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of Qdrant's engine is no Exception
        if "No space left" in str(error):
            raise disk_full(folder, str(error)) from error
        raise damaged(folder, done, error) from error


def damaged(folder: Path, done: str, error: object) -> StorageError:
    """The error for a folder that can't be used."""
    return StorageError(
        f"The index in {folder} can't be {done}: {error}.",
        hint=f"If it is damaged, remove this folder and rebuild it with `{REBUILD}`.",
    )


def disk_full(folder: Path, why: str) -> DiskFull:
    """The error for a disk without room."""
    return DiskFull(f"No space left where the index {folder} lies: {why}.", hint="Free some disk space and try again.")


def size(folder: Path) -> int:
    """Bytes on disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
