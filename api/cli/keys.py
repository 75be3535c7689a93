"""Commands for API keys; they work while a server has the data folder open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import typer

from api.cli import output
from api.cli.options import AsJson, DataDir
from api.cli.places import settings_of

if TYPE_CHECKING:
    from api.client import Client
    from api.keys import Key, Scope
    from ingest.catalog import Catalog

keys = typer.Typer(help="Keys of the HTTP interface.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(keys, name="keys")


class Ring(Protocol):
    """Where keys are kept; each is shown as a row, a made one with its secret."""

    def create(self, name: str, scope: Scope, collections: list[str] | None, days: float | None) -> dict[str, Any]:
        """``collections``: names of the only ones that it may see."""
        ...

    def all(self) -> list[dict[str, Any]]:
        """Oldest first."""
        ...

    def revoke(self, key: str) -> None:
        """End it."""
        ...

    def names(self) -> dict[str, str]:
        """Of the collections, by id."""
        ...


class _Here:
    def __init__(self, catalog: Catalog) -> None:
        from api.keys import Keys

        self._catalog = catalog
        self._keys = Keys(catalog.database)

    def create(self, name: str, scope: Scope, collections: list[str] | None, days: float | None) -> dict[str, Any]:
        ids = [self._catalog.collection(each).id for each in collections] if collections else None
        key, secret = self._keys.create(name, scope, ids, days)
        return {**_row(key), "key": secret}

    def all(self) -> list[dict[str, Any]]:
        return [_row(key) for key in self._keys.all()]

    def revoke(self, key: str) -> None:
        self._keys.revoke(key)

    def names(self) -> dict[str, str]:
        return {each.id: each.name for each in self._catalog.collections()}


class _There:
    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, name: str, scope: Scope, collections: list[str] | None, days: float | None) -> dict[str, Any]:
        return self._client.create_key(name, scope, collections, days).model_dump(exclude={"object"})

    def all(self) -> list[dict[str, Any]]:
        return [key.model_dump(exclude={"object"}) for key in self._client.keys()]  # noqa: SIM118

    def revoke(self, key: str) -> None:
        self._client.revoke_key(key)

    def names(self) -> dict[str, str]:
        return {each.id: each.name for each in self._client.collections()}


@contextlib.contextmanager
def _ring(data_dir: Path | None) -> Iterator[Ring]:
    """Of the server that is named, else of the catalog alone: the folder's lock is for the engines beside it."""
    settings = settings_of(data_dir)
    if settings.url:
        from api.client import Client

        with Client(settings.url, settings.api_key.get_secret_value() or None) as client:
            yield _There(client)
        return
    from ingest.catalog import Catalog
    from ingest.database import Database
    from ingest.folder import storage_errors

    folder = settings.data_dir.expanduser().absolute()
    with storage_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url or f"sqlite:///{folder / 'catalog.sqlite'}")
    try:
        yield _Here(Catalog(database))
    finally:
        database.close()


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What or whom it is for.")],
    scope: Annotated[
        Literal["read", "write", "admin"],
        typer.Option(help="read and ask; take in and delete documents, too; make and delete collections, too."),
    ] = "read",
    collection: Annotated[
        list[str] | None, typer.Option("--collection", "-c", metavar="NAME", help="Only this one; may be repeated.")
    ] = None,
    days: Annotated[float | None, typer.Option(metavar="NUMBER", min=0, help="Until it expires; else never.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once."""
    with _ring(data_dir) as ring:
        made = ring.create(name[:64], scope, collection, days)
    if as_json:
        output.json_document(made)
        return
    output.text(made["key"])
    output.say(f"{made['id']}: it is shown only now; what is kept is but its hash.")


@keys.command("ls")
def keys_ls(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the keys, without their secrets."""
    with _ring(data_dir) as ring:
        found, names = ring.all(), ring.names()
    if as_json:
        output.json_document(found)
        return
    rows = [
        [
            key["id"],
            key["name"],
            key["scope"],
            _granted(key["collections"], names),
            key["expires"] or "never",
            "valid" if key["valid"] else "ended",
        ]
        for key in found
    ]
    output.table(["id", "name", "scope", "collections", "expires", "state"], rows)


def _granted(collections: list[str] | None, names: dict[str, str]) -> str:
    return "all" if collections is None else ", ".join(sorted(names.get(each, each) for each in collections))


def _row(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "collections": None if key.collections is None else sorted(key.collections),
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
        "valid": key.valid,
    }


@keys.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id, as `keys ls` shows it.")], data_dir: DataDir = None
) -> None:
    """End a key, at once, also on servers that are running."""
    with _ring(data_dir) as ring:
        ring.revoke(key)
    output.say(f"{key} is revoked.")
