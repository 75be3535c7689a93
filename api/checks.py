"""What `folioscope doctor` looks at: one function a check, each run for real."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from folioscope.errors import FolioscopeError, ModelUnavailable
from folioscope.settings import Settings

LOW_DISK_BYTES = 1 << 30
PACKAGES = ("folioscope", "pymupdf", "qdrant-edge-py", "onnxruntime", "dbos", "sqlalchemy", "pillow", "rapidocr")
LESS_CONFINED = (
    "A file that took over the parser could do that, as you. For files from strangers use Linux 5.13 or newer with "
    "Landlock among its security modules, or run Folioscope as a user of its own in a container without network."
)


@dataclass(frozen=True, slots=True)
class Result:
    """``note``: works, but there is something to know. ``hint``: what to do."""

    name: str
    state: Literal["ok", "note", "bad"]
    detail: str
    hint: str = ""


def check_all(settings: Settings) -> list[Result]:
    """Every check, none of which stops the others."""
    checks: list[Callable[[Settings], Result]] = [
        _python, _packages, _data_folder, _disk, _ocr, _semantic, _visual_models, _vectors, _sandbox, _database,
        _files, _model, _vendors,
    ]  # fmt: skip
    results = []
    for check in checks:
        try:
            results.append(check(settings))
        except FolioscopeError as error:
            results.append(Result(check.__name__.strip("_").replace("_", " "), "bad", error.message, error.hint))
    return results


def _python(_settings: Settings) -> Result:
    return Result("python", "ok", f"{platform.python_version()} on {platform.system()}, {os.cpu_count()} cores")


def _packages(_settings: Settings) -> Result:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            return Result(
                "packages", "bad", f"{name} is not installed", f"Run `{sys.executable} -m pip install {name}`."
            )
    return Result("packages", "ok", ", ".join(found))


def _data_folder(settings: Settings) -> Result:
    from folioscope.errors import DataFolderBusy
    from ingest.folder import DataFolder

    try:
        DataFolder(settings.data_dir).close()
    except DataFolderBusy as error:
        return Result("data folder", "note", error.message, error.hint)
    return Result("data folder", "ok", str(settings.data_dir))


def _disk(settings: Settings) -> Result:
    free = shutil.disk_usage(settings.data_dir).free
    detail = f"{free / 2**30:.1f} GiB free for {settings.data_dir}"
    if free < LOW_DISK_BYTES:
        return Result("disk", "note", detail, "Free some space or choose another folder with FOLIOSCOPE_DATA_DIR.")
    return Result("disk", "ok", detail)


def _ocr(settings: Settings) -> Result:
    from ingest.ocr import check_tesseract, choose

    if settings.ocr == "off":
        return Result("ocr", "note", "off by setting: scans have no words")
    engine = choose(settings.ocr)
    if engine == "tesseract":
        check_tesseract(settings.ocr_languages)
        return Result("ocr", "ok", f"tesseract with {settings.ocr_languages}")
    return Result("ocr", "ok", "rapidocr (slower than tesseract, which is not on the PATH)")


def _semantic(settings: Settings) -> Result:
    from folioscope.errors import ChannelUnavailable
    from retrieval import open_encoder

    if "semantic" not in settings.channels:
        return Result("semantic channel", "note", "off by setting")
    try:
        encoder = open_encoder(f"semantic:{settings.semantic_model}", trust_remote_code=settings.trust_remote_code)
        encoder.encode_query("a page about pages")
    except ChannelUnavailable as error:
        return Result("semantic channel", "note", f"off: {error.message}", error.hint)
    return Result("semantic channel", "ok", str(encoder.fingerprint))


def _visual_models(_settings: Settings) -> Result:
    from folioscope.errors import ChannelUnavailable
    from retrieval.encoders.torch_device import choose_device

    try:
        return Result("visual models", "ok", f"run on {choose_device().note}")
    except ChannelUnavailable as error:
        return Result("visual models", "note", f"off: {error.message}", error.hint)


def _vectors(settings: Settings) -> Result:
    if not settings.qdrant_url:
        return Result("vectors", "ok", f"{settings.vectors}, in the data folder")
    from retrieval.indexes.server import connect, exists

    client = connect(settings.qdrant_url, settings.qdrant_api_key.get_secret_value())
    try:
        exists(client, "folioscope")  # any name will do: the server answers
    finally:
        client.close()
    return Result("vectors", "ok", f"the Qdrant server {settings.qdrant_url} answers")


def _sandbox(settings: Settings) -> Result:
    """A child reads a page, then tries what it should not be able to do."""
    from api import samples
    from ingest.ocr import choose
    from ingest.sandbox import Limits, Ocr, Sandbox

    ocr = Ocr(settings.ocr, settings.ocr_languages)
    with samples.folder() as folder, Sandbox(Limits.from_settings(settings), ocr, workers=1) as sandbox:
        with sandbox.open(sorted(folder.glob("*.pdf"))[0]) as opened:
            page = next(iter(opened.pages([1])))
        if page.problem:
            return Result("sandbox", "bad", page.problem.message)
        test = sandbox.self_test()
    outcomes = dict(test.outcomes)
    if starts := choose(settings.ocr) == "tesseract" and not outcomes["start programs"]:
        del outcomes["start programs"]
    said = [
        f"a child process reads pages within {settings.memory_limit_mb} MB",
        *([f"confined by {' and '.join(test.confinement.holds)}"] if test.confinement.holds else []),
        *(f"missing: {reason}" for reason in test.confinement.lacks),
        *_tried(outcomes),
        *(["it starts programs, for OCR, under the same rules"] if starts else []),
    ]
    if set(outcomes.values()) == {"denied"}:
        return Result("sandbox", "ok", "; ".join(said))
    return Result("sandbox", "note", "; ".join(said), LESS_CONFINED)


def _tried(outcomes: dict[str, str]) -> list[str]:
    """What was denied, what worked, what failed for another reason and so proves nothing."""
    by_outcome: dict[str, list[str]] = {}
    for what, outcome in outcomes.items():
        by_outcome.setdefault(outcome, []).append(what)
    ways = {"denied": "it tried and could not", "": "it tried and could"}
    return [
        f"{ways.get(outcome, f'it tried and met {outcome!r}')}: {', '.join(whats)}"
        for outcome, whats in by_outcome.items()
    ]


def _database(settings: Settings) -> Result:
    from ingest.database import Database

    if not settings.database_url:
        with tempfile.TemporaryDirectory() as folder:
            Database(f"sqlite:///{Path(folder) / 'check.sqlite'}").close()
        return Result("database", "ok", "SQLite in the data folder")
    Database(settings.database_url).close()
    return Result("database", "ok", "reached")


def _files(settings: Settings) -> Result:
    """Where originals lie; on S3, whether they can be listed. Nothing is written."""
    if not settings.files_url:
        return Result("files", "ok", "in the data folder")
    from ingest.bucket import Bucket

    with tempfile.TemporaryDirectory() as cache:
        Bucket(settings.files_url, settings.files_endpoint, Path(cache), cache_bytes=0, owner="").check()
    return Result("files", "ok", f"{settings.files_url} can be listed")


def _model(settings: Settings) -> Result:
    """Whether it could be opened; nothing is sent."""
    from generation import choose, open_model
    from retrieval import analyzer

    spec, reason = settings.model, "as set"
    if spec == "auto":
        spec, reason = (choice := choose(settings)).spec, choice.reason
    if spec == "extractive":
        return Result("answering model", "ok", f"extractive, built in, no network: {reason}")
    try:
        open_model(spec, settings, analyzer=analyzer())
    except ModelUnavailable as error:
        return Result("answering model", "bad", error.message, error.hint)
    return Result("answering model", "ok", f"{spec}: {reason}")


def _vendors(_settings: Settings) -> Result:
    """What each kind of vision-language model lacks; keys are looked for and not shown, and nobody is called."""
    from generation.models import VENDORS, lacking

    return Result(
        "vision models", "ok", "; ".join(f"{vendor}: {lacking(vendor) or 'nothing missing'}" for vendor in VENDORS)
    )
