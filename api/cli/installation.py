"""Commands about the installation itself: config, doctor, version."""

from __future__ import annotations

import typer

from api.cli import output
from api.cli.options import AsJson, DataDir

config = typer.Typer(help="Settings: where each value comes from.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(doctor)
    app.command()(version)
    app.add_typer(config, name="config")


def version(as_json: AsJson = False) -> None:
    """Print the version."""
    from folioscope import __version__

    if as_json:
        output.json_document({"name": "folioscope", "version": __version__})
    else:
        output.text(f"folioscope {__version__}")


# --- config ---------------------------------------------------------------------------------------------------------


@config.command("show")
def config_show(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Every setting: its value, where the value comes from, what it is for."""
    from api.configuration import described
    from folioscope.settings import load_settings

    flags = {"data_dir": data_dir}
    rows = described(load_settings(flags), flags)
    if as_json:
        output.json_document(rows)
        return
    output.table(["setting", "value", "from", "what"], [[_as_text(cell) for cell in row.values()] for row in rows])


def _as_text(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


@config.command("path")
def config_path() -> None:
    """Where the settings file is looked for."""
    from folioscope import settings

    output.text(str(settings.config_path()))


# --- doctor ---------------------------------------------------------------------------------------------------------


def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check what is installed and whether it works: Python, OCR, models, the sandbox, the data folder, servers."""
    from api.checks import check_all
    from folioscope.settings import load_settings

    results = check_all(load_settings({"data_dir": data_dir}))
    if as_json:
        output.json_document([{"name": r.name, "state": r.state, "detail": r.detail, "hint": r.hint} for r in results])
    else:
        marks = {"ok": "ok  ", "note": "note", "bad": "BAD "}
        for result in results:
            output.text(f"{marks[result.state]} {result.name}: {result.detail}")
            if result.hint:
                output.text(f"       {result.hint}")
    if any(result.state == "bad" for result in results):
        raise typer.Exit(1)
