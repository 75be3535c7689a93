"""Commands about encoders' models: which are known, fetching them ahead of time, trying one out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli import output
from api.cli.options import AsJson

if TYPE_CHECKING:
    from folioscope.domain import PageInput, Vector
    from folioscope.ports import Encoder

models = typer.Typer(help="Models that turn pages into vectors.", no_args_is_help=True)
Spec = Annotated[str, typer.Argument(metavar="SPEC", help="As `models ls` shows it, such as clip:ORG/MODEL.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(models, name="models")


@models.command("ls")
def models_ls(
    channel: Annotated[str | None, typer.Option(help="Only of this channel: semantic, image or visual.")] = None,
    as_json: AsJson = False,
) -> None:
    """List models that are known to serve, and whether they are here. Others of the same classes do as well."""
    from folioscope.errors import ConfigError
    from retrieval.encoders.models import KNOWN

    channels = {model.channel for model in KNOWN}
    if channel not in (None, *channels):
        raise ConfigError(f"No model is for a channel {channel!r}.", hint=f"There are: {', '.join(sorted(channels))}.")
    rows: list[dict[str, Any]] = [
        {
            "spec": model.spec,
            "channel": model.channel,
            "millions": model.millions,
            "dim": model.dim,
            "licence": model.licence,
            "hardware": model.hardware,
            "cached": model.cached,
            "note": model.note,
        }
        for model in KNOWN
        if channel in (None, model.channel)
    ]
    if as_json:
        output.json_document(rows)
        return
    output.table(
        ["spec", "channel", "parameters", "dim", "licence", "hardware", "here", "note"],
        [[_cell(value) for value in row.values()] for row in (r | {"millions": f"{r['millions']} M"} for r in rows)],
    )


def _cell(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


@models.command("pull")
def models_pull(specs: Annotated[list[str], typer.Argument(metavar="SPEC...")]) -> None:
    """Fetch models into the hub's local cache, to use them without a network (HF_HOME: where, HF_ENDPOINT: whence)."""
    from folioscope.settings import load_settings
    from retrieval.encoders.models import pull

    trust = load_settings().trust_remote_code
    rows = [[spec, str(folder)] for spec in specs for folder in pull(spec, trust_remote_code=trust)]
    output.table(["spec", "folder"], rows)


@models.command("check")
def models_check(spec: Spec, as_json: AsJson = False) -> None:
    """Load an encoder, have it encode a page of the bundled samples and a question, show what comes out."""
    from folioscope.settings import load_settings
    from retrieval import open_encoder

    encoder = open_encoder(spec, trust_remote_code=load_settings().trust_remote_code)
    page = _sample_page()
    first, vector = _timed(encoder, page)
    again, _ = _timed(encoder, page)
    query = encoder.encode_query("How many passengers were carried?")
    fingerprint = encoder.fingerprint
    found: dict[str, Any] = {
        "spec": spec,
        "encoder": fingerprint.encoder,
        "revision": fingerprint.revision,
        "kind": fingerprint.kind,
        "dim": fingerprint.dim,
        "settings": fingerprint.settings,
        "page": _shape(vector),
        "query": _shape(query),
        "device": _device(encoder),
        "first_ms": round(first, 1),
        "ms": round(again, 1),
    }
    if as_json:
        output.json_document(found)
        return
    shown = found | {"first_ms": f"{first:.0f} ms, loading included", "ms": f"{again:.0f} ms a page after that"}
    output.fields({name: str(value) for name, value in shown.items()})


def _timed(encoder: Encoder, page: PageInput) -> tuple[float, Vector | None]:
    started = time.perf_counter()
    (vector,) = encoder.encode_pages([page])
    return 1000 * (time.perf_counter() - started), vector


def _sample_page() -> PageInput:
    """The first page of a sample document, its image already drawn, so that drawing is not timed."""
    from api import samples
    from folioscope.domain import PageInput, PageKey
    from folioscope.settings import load_settings
    from ingest.sandbox import Limits, Ocr, Sandbox

    with (
        samples.folder() as folder,
        Sandbox(Limits.from_settings(load_settings()), Ocr("off"), workers=1) as sandbox,
        sandbox.open(path := sorted(folder.glob("*.pdf"))[-1]) as opened,
    ):
        (page,) = opened.pages([1])
        image = opened.render(1, 1540)
    return PageInput(PageKey("doc_sample", 1, 1), path.name, page.words, lambda _long_edge: image)


def _shape(vector: Vector | None) -> str:
    """Such as ``float32 [1030, 128]``."""
    from folioscope.domain import SparseVector

    if vector is None:
        return "nothing to encode"
    if isinstance(vector, SparseVector):
        return f"{vector.values.dtype} sparse, {len(vector.indices)} values"
    return f"{vector.dtype} {list(vector.shape)}"


def _device(encoder: Encoder) -> str:
    """What the encoder, or the model that it uses, says of where it runs."""
    for part in (encoder, getattr(encoder, "model", None)):
        if (note := getattr(part, "device_note", None)) is not None:
            return str(note)
        if (device := getattr(part, "device", None)) is not None:
            return str(getattr(device, "note", device))
        if (endpoint := getattr(part, "endpoint", None)) is not None:
            return f"a server, {endpoint.url}"
    return "CPU"
