"""Channels of a collection over the wire."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.schemas.common import Given, Progress, progress
from folioscope.settings import ChannelName
from ingest.channels import ChannelStatus


class NewChannel(Given):
    """``encoder``: what makes its vectors, such as ``colpali:<model>``; else the setting's."""

    name: ChannelName
    encoder: str | None = Field(None, min_length=1, max_length=1000)


class ChannelOut(BaseModel):
    """``key``: names it, also where it is built beside another of its ``name``. ``active``: searched. ``coverage``:
    pages that it has. ``bytes``: on disk. ``problem``: why it can't be used. Encoder, fingerprint and reason may name
    folders and hosts of the server, so they are told to keys that are not limited to some collections.
    """

    object: Literal["channel"] = "channel"
    key: str
    name: str
    active: bool
    usable: bool
    coverage: Progress
    bytes: int
    encoder: str | None
    fingerprint: dict[str, Any] | None
    problem: str | None


def channel_out(found: ChannelStatus, whole: bool) -> ChannelOut:
    """``whole``: with what may name folders and hosts."""
    return ChannelOut(
        key=found.entry.key,
        name=found.entry.name,
        active=found.entry.active,
        usable=not found.problem,
        coverage=progress(found.coverage),
        bytes=found.bytes,
        encoder=found.entry.encoder if whole else None,
        fingerprint=found.fingerprint.asdict() if whole and found.fingerprint else None,
        problem=(found.problem or None) if whole else None,
    )
