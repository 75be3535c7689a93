"""Webhooks over the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from api.schemas.common import PRINTED, Given
from api.webhooks import Happening, Hook


class NewWebhook(Given):
    """``collection``: name or id of the only one that it is told of; else all."""

    url: str = Field(min_length=1, max_length=2000, pattern=PRINTED)
    events: list[Happening] = Field(["document.ready", "document.failed", "job.done"], min_length=1, max_length=3)
    collection: str | None = Field(None, min_length=1, max_length=64)


class WebhookOut(BaseModel):
    """``waiting``: deliveries to come. ``failing_since``, ``error``: of calls that fail. ``disabled``: since when it is
    not called any more, because it failed for days.
    """

    object: Literal["webhook"] = "webhook"
    id: str
    url: str
    events: list[Happening]
    collection: str | None
    created: str
    waiting: int
    failing_since: str | None
    error: str | None
    disabled: str | None


class MadeWebhook(WebhookOut):
    """``secret``: signs what it is told; shown this once."""

    secret: str


def webhook_out(found: Hook) -> WebhookOut:
    """As it stands now."""
    return WebhookOut(
        id=found.id,
        url=found.url,
        events=list(found.events),
        collection=found.collection,
        created=found.created,
        waiting=found.waiting,
        failing_since=found.failing_since,
        error=found.error,
        disabled=found.disabled,
    )
