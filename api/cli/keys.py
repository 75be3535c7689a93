"""Commands for API keys; they work while a server has the data folder open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from api.cli import output
from api.cli.options import AsJson, DataDir

if TYPE_CHECKING:
    from api.keys import Key
    from ingest.catalog import Catalog

keys = typer.Typer(help="Keys of the HTTP interface.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(keys, name="keys")


@contextlib.contextmanager
def _catalog(data_dir: Path | None) -> Iterator[Catalog]:
    """The catalog alone: the folder's lock is for the engines beside it, which keys don't touch."""
    from folioscope.settings import load_settings
    from ingest.catalog import Catalog
    from ingest.database import Database
    from ingest.folder import storage_errors

    settings = load_settings({"data_dir": data_dir})
    folder = settings.data_dir.expanduser().absolute()
    with storage_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url or f"sqlite:///{folder / 'catalog.sqlite'}")
    try:
        yield Catalog(database)
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
    from api.keys import Keys

    with _catalog(data_dir) as catalog:
        ids = [catalog.collection(each).id for each in collection] if collection else None
        key, secret = Keys(catalog.database).create(name[:64], scope, ids, days)
    if as_json:
        output.json_document({**_row(key), "key": secret})
        return
    output.text(secret)
    output.say(f"{key.id}: it is shown only now; the data folder holds but its hash.")


@keys.command("ls")
def keys_ls(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the keys, without their secrets."""
    from api.keys import Keys

    with _catalog(data_dir) as catalog:
        found = Keys(catalog.database).all()
        names = {each.id: each.name for each in catalog.collections()}
    if as_json:
        output.json_document([_row(key) for key in found])
        return
    rows = [
        [key.id, key.name, key.scope, _granted(key, names), key.expires or "never", "valid" if key.valid else "ended"]
        for key in found
    ]
    output.table(["id", "name", "scope", "collections", "expires", "state"], rows)


def _granted(key: Key, names: dict[str, str]) -> str:
    return "all" if key.collections is None else ", ".join(sorted(names.get(each, each) for each in key.collections))


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
    from api.keys import Keys

    with _catalog(data_dir) as catalog:
        Keys(catalog.database).revoke(key)
    output.say(f"{key} is revoked.")
