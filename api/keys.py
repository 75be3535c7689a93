"""API keys: made once, shown once, stored as a hash, looked up at each request so that a revoked one ends at once."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

import sqlalchemy as sa

from folioscope.errors import NotFoundError
from ingest import schema as t
from ingest.database import Database, new_id, now

Scope = Literal["read", "write", "admin"]
"""Each may do what those before it may: read and ask; take in and delete documents; make and delete collections."""

LEVEL: dict[str, int] = {scope: level for level, scope in enumerate(get_args(Scope))}
PREFIX = "fol_"


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. ``collections``: ids of the only ones that it may see; None: all."""

    id: str
    name: str
    scope: Scope
    collections: frozenset[str] | None
    created: str
    expires: str | None
    revoked: bool

    @property
    def valid(self) -> bool:
        """Neither revoked nor expired."""
        return not self.revoked and (self.expires is None or self.expires > now())


class Keys:
    """The table of keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, scope: Scope, collections: Sequence[str] | None = None, days: float | None = None
    ) -> tuple[Key, str]:
        """A new key and its secret, which nobody can get again. ``collections``: ids. ``days``: until it expires."""
        secret = PREFIX + secrets.token_urlsafe(32)
        expires = None
        if days is not None:
            expires = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        grants = None if collections is None else frozenset(collections)
        key = Key(new_id("key"), name, scope, grants, now(), expires, revoked=False)
        row = {**dataclasses.asdict(key), "hash": _hash(secret)}
        row["collections"] = sa.null() if grants is None else sorted(grants)
        with self._database.write() as db:
            db.execute(t.keys.insert().values(row))
        return key, secret

    def all(self) -> list[Key]:
        """Every key ever made, oldest first."""
        with self._database.read() as db:
            return [_key(row) for row in db.execute(sa.select(t.keys).order_by(t.keys.c.created, t.keys.c.id))]

    def find(self, secret: str) -> Key | None:
        """The valid key with this secret."""
        with self._database.read() as db:
            row = db.execute(sa.select(t.keys).where(t.keys.c.hash == _hash(secret))).first()
        key = _key(row) if row else None
        return key if key and key.valid else None

    def revoke(self, key_id: str) -> None:
        """It opens nothing from now on. Raises `NotFoundError`."""
        with self._database.write() as db:
            done = db.execute(t.keys.update().where(t.keys.c.id == key_id).values(revoked=True))
        if not done.rowcount:
            raise NotFoundError(f"There is no key {key_id!r}.", hint="`folioscope keys ls` lists them.")


def _hash(secret: str) -> str:
    # 256 random bits need neither salt nor a slow hash.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: Any) -> Key:
    grants = None if row.collections is None else frozenset(row.collections)
    return Key(row.id, row.name, row.scope, grants, row.created, row.expires, row.revoked)
