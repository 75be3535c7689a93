"""The state of the server and its settings, for who runs it; settings are changed in files and variables alone."""

from __future__ import annotations

import os
import platform
import shutil

from fastapi import APIRouter

from api.configuration import described
from api.problems import told
from api.schemas.common import Failure, Listed, progress
from api.schemas.status import AnsweringModel, Backlog, SettingOut, StatusOut
from api.security import Owner
from folioscope import __version__
from folioscope.errors import ConfigError, FolioscopeError
from folioscope.settings import Settings, load_settings
from generation import choose
from ingest import ocr

router = APIRouter(prefix="/v1", tags=["system"])


@router.get("/status")
def get_status(access: Owner) -> StatusOut:
    """What `folioscope doctor` knows and is cheap to look at."""
    library = access.library
    settings, database = library.settings, library.catalog.database
    fault = library.fault
    return StatusOut(
        version=__version__,
        python=platform.python_version(),
        cores=os.cpu_count() or 1,
        model=_model(settings),
        channels={name: progress(share) for name, share in library.channel_coverage().items()},
        off=dict(library.unavailable),
        ocr=ocr.choose(settings.ocr),
        backlog=Backlog(
            documents=len(library.catalog.outstanding_versions()), channels=len(library.pipeline.pending_fills())
        ),
        fault=None if fault is None else Failure(code=fault.code, message=told(fault)),
        disk_free=shutil.disk_usage(library.folder.path).free,
        database=database.kind,
        vectors="qdrant server" if settings.qdrant_url else settings.vectors,
        files="s3" if settings.files_url else "folder",
        needs_key=access.service.needs_key,
    )


@router.get("/settings")
def list_settings(access: Owner) -> Listed[SettingOut]:
    """Every setting, its value, where that comes from, what it is for; secrets are stars."""
    settings = access.library.settings
    flags = _flags(settings)
    found = [SettingOut.model_validate(row) for row in described(settings, flags)]
    return Listed(data=found, last_id=found[-1].name)


def _model(settings: Settings) -> AnsweringModel:
    if settings.model != "auto":
        return AnsweringModel(id=settings.model, reason="as set")
    try:
        chosen = choose(settings)
    except FolioscopeError as error:
        return AnsweringModel(id="auto", reason=error.message)
    return AnsweringModel(id=chosen.spec, reason=chosen.reason)


def _flags(settings: Settings) -> dict[str, object]:
    """What the server was started with, where that is not what file, environment and defaults say."""
    try:
        fresh = load_settings()
    except ConfigError:  # the file was changed since, and is wrong now
        return {}
    return {name: value for name in Settings.model_fields if (value := getattr(settings, name)) != getattr(fresh, name)}
