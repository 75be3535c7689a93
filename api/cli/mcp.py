"""The command that gives the library to other programs' models."""

from __future__ import annotations

import typer

from api.cli.options import DataDir
from api.cli.places import settings_of


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(mcp)


def mcp(data_dir: DataDir = None) -> None:
    """Offer search, pages and answers over stdin and stdout (Model Context Protocol), for a client to start."""
    import asyncio

    from folioscope.errors import ConfigError, DataFolderBusy
    from ingest import Library

    try:
        from api.mcp_stdio import relay, serve
    except ModuleNotFoundError as error:
        if error.name != "mcp":
            raise
        raise ConfigError("MCP needs a package.", hint="pip install 'folioscope[mcp]'") from None

    settings = settings_of(data_dir)
    if settings.url:
        asyncio.run(relay(settings.url, settings.api_key.get_secret_value()))
        return
    try:
        library = Library(settings=settings)
    except DataFolderBusy as busy:
        if not busy.url:
            raise
        asyncio.run(relay(busy.url, busy.secret))
        return
    with library:
        asyncio.run(serve(library))
