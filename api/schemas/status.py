"""The state of the server over the wire, for who runs it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from api.schemas.common import Failure, Progress
from folioscope.settings import Origin


class AnsweringModel(BaseModel):
    """``id``: what answers. ``reason``: how it was chosen."""

    id: str
    reason: str


class Backlog(BaseModel):
    """Documents that are still to be read; pairs of a document and a channel that is to take it in."""

    documents: int
    channels: int


class StatusOut(BaseModel):
    """``channels``: pages, over all collections; ``off``: channels that can't be used, and why. ``fault``: what stopped
    the work in the background. ``ocr``: the engine. ``disk_free``: bytes where the data folder lies.
    """

    object: Literal["status"] = "status"
    version: str
    python: str
    cores: int
    model: AnsweringModel
    channels: dict[str, Progress]
    off: dict[str, str]
    ocr: str
    backlog: Backlog
    fault: Failure | None
    disk_free: int
    database: str
    vectors: str
    files: str
    needs_key: bool


class SettingOut(BaseModel):
    """``origin``: where the value comes from."""

    name: str
    value: Any
    origin: Origin
    about: str
