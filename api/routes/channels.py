"""Channels of a collection: how far they are, adding, filling, removing them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from fastapi import APIRouter, Response

from api.schemas.channels import ChannelOut, NewChannel, channel_out
from api.schemas.common import Listed
from api.security import Access, Admin
from folioscope.errors import ChannelRefused, ChannelUnavailable, ConfigError
from ingest.catalog import Collection

router = APIRouter(prefix="/v1/collections/{collection}/channels", tags=["channels"])


@router.get("")
def list_channels(collection: str, access: Admin) -> Listed[ChannelOut]:
    """Each with its coverage, those that are being built included."""
    return _listed(access, access.collection(collection))


@router.post("", status_code=201)
def add_channel(collection: str, body: NewChannel, access: Admin, response: Response) -> ChannelOut:
    """It fills in the background and is searched as far as it is. With another encoder than the one of that name, it is
    built beside that one and searched once it has every page. An encoder is named by unlimited keys alone.
    """
    found = access.collection(collection)
    if body.encoder is not None:
        access.demand_all()  # it may be a folder of the server, or a host that only the server reaches
    with _told(access):
        entry = access.library.add_channel(found.name, body.name, body.encoder)
    response.headers["location"] = f"/v1/collections/{found.id}/channels"
    (made,) = [each for each in access.library.channel_status(found.name) if each.entry.key == entry.key]
    return channel_out(made, access.grants is None)


@router.post("/{channel}/backfill", status_code=202)
def backfill_channel(collection: str, channel: str, access: Admin) -> Listed[ChannelOut]:
    """Try a channel again that could not be used; what it lacks is taken in in the background."""
    found = access.collection(collection)
    with _told(access):
        access.library.backfill(found.name, channel, wait=False)
    return _listed(access, found)


@router.delete("/{channel}", status_code=204)
def remove_channel(collection: str, channel: str, access: Admin) -> None:
    """With its vectors; by its key also one that is being built. The last one that is searched stays."""
    found = access.collection(collection)
    with _told(access):
        access.library.remove_channel(found.name, channel)


def _listed(access: Access, collection: Collection) -> Listed[ChannelOut]:
    found = [channel_out(each, access.grants is None) for each in access.library.channel_status(collection.name)]
    return Listed(data=found, last_id=found[-1].key if found else None)


@contextlib.contextmanager
def _told(access: Access) -> Iterator[None]:
    """Why a channel is refused, to who may know of the server's models and folders."""
    try:
        yield
    except (ConfigError, ChannelUnavailable) as error:
        if access.grants is None:
            raise ChannelRefused(str(error)) from error
        raise ChannelRefused("The collection's channels can't be changed in this way.") from error
