"""Originals on S3 or what speaks as it does (MinIO, Ceph, R2 …), through obstore; a bounded cache of them here.

What is read is a whole local file, for those who parse can reach no network: it is downloaded in pieces, its hash is
checked, and only then does it get its name. Objects are ``PREFIX/originals/ab/abcd…``; one appears whole or not at all.
``PREFIX/owner`` holds the id of the catalog whose files these are: two catalogs that share a prefix would remove each
other's. Each request is tried again with growing pauses, `RETRIES` times or `RETRY_S` seconds at most.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from folioscope.errors import ConfigError, StorageError, Unreadable
from ingest.folder import storage_errors
from ingest.originals import PARTIAL

PIECE = 8 << 20
RETRIES = 4
PAUSE_S = 0.25  # before the first; each is up to twice as long as the one before
RETRY_S = 20
REQUEST_S = 30
CONNECT_S = 5

NO_CREDENTIALS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "169.254.")
"""The last: without a key the role of a cloud's machine is asked for, at an address that exists only there."""


class Bucket:
    """``url``: ``s3://bucket/prefix``. ``endpoint``: empty for AWS. Credentials and region come from the usual
    ``AWS_*`` variables, or the machine's role. ``folder``: the cache, of ``cache_bytes``, which what is in use may
    exceed. ``owner``: the catalog's id. Nothing is asked of the server before the first file.

    Raises `ConfigError` for a URL that is none, or where the extra is not installed.
    """

    def __init__(self, url: str, endpoint: str, folder: Path, *, cache_bytes: int, owner: str) -> None:
        self.folder = folder
        self._url = url.rstrip("/")
        self._store = _store(self._url, endpoint)
        self._cache_bytes = cache_bytes
        self._owner = owner
        self._claimed = False
        self._used: Counter[str] = Counter()
        self._guard = threading.Lock()  # of `_used` and of what is removed from the cache
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob(f"{PARTIAL}*"):  # of a process that was killed: the data folder has one
                path.unlink(missing_ok=True)

    def keep(self, file: Path, sha256: str) -> None:
        """See `ingest.originals.Originals`; the file stays as the cached copy."""
        import obstore

        self._claim()
        if not self.has(sha256):
            with self._errors(f"store {sha256}"):
                obstore.put(self._store, _key(sha256), file)
        with storage_errors(file):
            file.replace(self.folder / sha256)
        self._trim()

    @contextmanager
    def open(self, sha256: str) -> Iterator[Path]:
        """See `ingest.originals.Originals`."""
        path = self.folder / sha256
        with self._guard:
            self._used[sha256] += 1
            cached = path.exists()
            if cached:
                os.utime(path)
        try:
            if not cached:
                self._download(sha256, path)
            yield path
        finally:
            with self._guard:
                self._used[sha256] -= 1
                if not self._used[sha256]:
                    del self._used[sha256]
            self._trim()

    def has(self, sha256: str) -> bool:
        """See `ingest.originals.Originals`."""
        import obstore

        with self._errors(f"look for {sha256}"):
            try:
                obstore.head(self._store, _key(sha256))
            except FileNotFoundError:
                return False
        return True

    def remove(self, sha256: str) -> None:
        """See `ingest.originals.Originals`."""
        import obstore

        self._claim()
        with self._errors(f"delete {sha256}"):
            obstore.delete(self._store, _key(sha256))
        (self.folder / sha256).unlink(missing_ok=True)

    def hashes(self) -> Iterator[str]:
        """See `ingest.originals.Originals`; those in the cache alone are among them."""
        import obstore

        self._claim()
        found = {path.name for path in self._cached()}
        with self._errors("list"):
            for some in obstore.list(self._store, "originals", chunk_size=1000):
                found.update(entry["path"].rpartition("/")[2] for entry in some)
        yield from found

    def check(self) -> None:
        """Raises `StorageError` unless the bucket can be listed; writes nothing."""
        import obstore

        with self._errors("list"):
            next(iter(obstore.list(self._store, chunk_size=1)), None)

    def _claim(self) -> None:
        """Before anything is written or deleted: see that the prefix is ours, or make it so."""
        import obstore

        if self._claimed:
            return
        with self._errors("claim the prefix"):
            try:
                obstore.put(self._store, "owner", self._owner.encode(), mode="create")
            except obstore.exceptions.AlreadyExistsError:
                found = bytes(obstore.get(self._store, "owner").bytes()).decode("utf-8", "replace")
                if found != self._owner:
                    raise ConfigError(
                        f"{self._url} holds the files of another catalog ({found}); this one is {self._owner}.",
                        hint="Give each catalog a prefix of its own in files_url: s3://bucket/prefix.",
                    ) from None
        self._claimed = True

    def _size(self, sha256: str) -> int:
        """In bytes."""
        import obstore

        with self._errors(f"read {sha256}"):
            try:
                return int(obstore.head(self._store, _key(sha256))["size"])
            except FileNotFoundError:
                raise Unreadable(
                    f"The original {sha256} is not in {self._url} any more.",
                    hint="Restore the object from a backup, or ingest the file again.",
                ) from None

    def _download(self, sha256: str, path: Path) -> None:
        """In pieces, so that each request is short and memory bounded."""
        import obstore

        digest = hashlib.sha256()
        with storage_errors(path):
            partial = tempfile.NamedTemporaryFile(dir=self.folder, prefix=PARTIAL, delete=False)  # noqa: SIM115
        try:
            with partial:
                size = self._size(sha256)
                for start in range(0, size, PIECE):
                    with self._errors(f"read {sha256}"):
                        length = min(PIECE, size - start)
                        piece = bytes(obstore.get_range(self._store, _key(sha256), start=start, length=length))
                    digest.update(piece)
                    with storage_errors(path):
                        partial.write(piece)
                with storage_errors(path):
                    partial.flush()
            if digest.hexdigest() != sha256:
                raise Unreadable(
                    f"The original {sha256} in {self._url} has other bytes than were stored (sha256 "
                    f"{digest.hexdigest()}).",
                    hint="Restore the object from a backup, or delete it and ingest the file again.",
                )
            with storage_errors(path):
                Path(partial.name).replace(path)
        finally:
            Path(partial.name).unlink(missing_ok=True)

    def _trim(self) -> None:
        """Drop the files that were not asked for the longest and that nobody reads, until the cache has its size."""
        with self._guard:
            files = []
            for path in self._cached():
                with suppress(FileNotFoundError):  # of a document that is being deleted
                    stat = path.stat()
                    files.append((stat.st_mtime_ns, stat.st_size, path))
            total = sum(size for _, size, _ in files)
            for _, size, path in sorted(files):
                if total <= self._cache_bytes:
                    break
                if not self._used[path.name]:
                    path.unlink(missing_ok=True)
                    total -= size

    def _cached(self) -> list[Path]:
        """The files of the cache that are whole."""
        return [path for path in self.folder.iterdir() if not path.name.startswith(PARTIAL)]

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Errors of obstore as ours; what it says is long and for those who read its source."""
        from obstore import exceptions as theirs

        try:
            yield
        except (theirs.BaseError, OSError) as error:
            what, hint = _reason(error)
            raise StorageError(f"Could not {doing} in {self._url}: {what}.", hint=hint) from error


def _reason(error: Exception) -> tuple[str, str]:
    """What went wrong and what to do. obstore has no type of its own for some of it: the server's words then tell."""
    from obstore import exceptions as theirs

    text = str(error)
    if "NoSuchBucket" in text:
        return "there is no such bucket", "Make it, or correct files_url."
    if isinstance(error, theirs.UnauthenticatedError) or any(sign in text for sign in NO_CREDENTIALS):
        return "the credentials are missing or not accepted", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    if isinstance(error, theirs.PermissionDeniedError) or "403 Forbidden" in text:
        return "it is not allowed", "These credentials need to get, put, delete and list in that bucket."
    return "the storage does not answer, or fails", "Try again; see files_url and files_endpoint."


def _key(sha256: str) -> str:
    return f"originals/{sha256[:2]}/{sha256}"


def _store(url: str, endpoint: str) -> Any:
    try:
        from obstore.store import S3Store
    except ImportError:
        raise ConfigError(
            "Files on S3 need the package obstore.", hint="Install it with `pip install 'folioscope[s3]'`."
        ) from None
    from obstore.exceptions import BaseError

    endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL", "")
    more = {"endpoint": endpoint} if endpoint else {}
    try:
        return S3Store.from_url(
            url,
            client_options={
                "connect_timeout": timedelta(seconds=CONNECT_S),
                "timeout": timedelta(seconds=REQUEST_S),
                "allow_http": endpoint.startswith("http://"),
            },
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": timedelta(seconds=RETRY_S),
                "backoff": {"init_backoff": timedelta(seconds=PAUSE_S)},
            },
            **more,
        )
    except (BaseError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"files_url can't be used: {url!r}: {reason}.", hint="Write s3://bucket/prefix.") from None
