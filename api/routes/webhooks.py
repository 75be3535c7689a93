"""Webhooks: making, listing and removing them."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.schemas.common import Listed
from api.schemas.webhooks import MadeWebhook, NewWebhook, WebhookOut, webhook_out
from api.security import Access, Owner
from api.webhooks import Hooks

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.get("")
def list_webhooks(access: Owner) -> Listed[WebhookOut]:
    """All, oldest first, with how they fare."""
    found = [webhook_out(each) for each in _hooks(access).all()]
    return Listed(data=found, last_id=found[-1].id if found else None)


@router.post("", status_code=201)
def create_webhook(body: NewWebhook, access: Owner, response: Response) -> MadeWebhook:
    """It is told of what is handed in from now on. The answer holds the secret, this once."""
    collection = None if body.collection is None else access.collection(body.collection).id
    hook, secret = _hooks(access).create(body.url, body.events, collection)
    response.headers["location"] = f"/v1/webhooks/{hook.id}"
    return MadeWebhook(**webhook_out(hook).model_dump(), secret=secret)


@router.delete("/{webhook}", status_code=204)
def delete_webhook(webhook: str, access: Owner) -> None:
    """It is told nothing from now on."""
    _hooks(access).remove(webhook)


def _hooks(access: Access) -> Hooks:
    return Hooks(access.library.catalog.database, access.service.hooks_network)
