"""What says of the server itself: alive, ready, which version, which models."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.responses import PlainTextResponse

from api.metrics import CONTENT_TYPE, Metrics
from api.problems import RETRY_S
from api.schemas.system import ModelOut, Models, Version
from api.security import Access, Admin, Reader
from api.service import Service
from folioscope import __version__
from folioscope.errors import ChannelUnavailable, CollectionNotFound, FolioscopeError, NotFoundError

router = APIRouter(tags=["system"])


class Health(BaseModel):
    """That it answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """``parts``: of the server, each ``ok`` or the code of what is wrong with it."""

    status: Literal["ok", "unavailable"]
    parts: dict[str, str]


@router.get("/healthz")
async def healthz() -> Health:
    """Whether the process answers, however many of its threads are busy."""
    return Health()


@router.get("/readyz", responses={503: {"model": Ready}})
def readyz(request: Request, response: Response) -> Ready:
    """Whether documents can be taken in and found; 503 where not. ``parts`` says for each part ``ok`` or what its
    fault is called; a channel that can't be used leaves the rest ready.
    """
    service: Service = request.app.state.service
    try:
        channels = {f"channel {name}": ChannelUnavailable.code for name in service.library.unavailable}
        catalog = "ok"
    except FolioscopeError as error:
        channels, catalog = {}, error.code
    fault = service.fault
    parts = {"catalog": catalog, "jobs": fault.code if fault else "ok", **channels}
    ready = catalog == parts["jobs"] == "ok"
    if not ready:
        response.status_code = 503
        response.headers["retry-after"] = str(RETRY_S)
    return Ready(status="ok" if ready else "unavailable", parts=parts)


@router.get("/version")
def version() -> Version:
    """Which Folioscope this is."""
    return Version(version=__version__)


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request, access: Admin) -> PlainTextResponse:
    """Figures in Prometheus' format. They are of all collections, so a key that is limited to some gets none."""
    if access.grants is not None:
        raise NotFoundError("There are no figures for a key that is limited to some collections.")
    figures: Metrics = request.app.state.metrics
    return PlainTextResponse(figures.text(), media_type=CONTENT_TYPE)


@router.get("/v1/models")
def list_models(access: Reader) -> Models:
    """A model for each collection that may be seen."""
    names = ["docs", *(f"docs/{each.name}" for each in access.collections())]
    return Models(data=[ModelOut(id=name) for name in names], answering=access.service.model().name)


@router.get("/v1/models/{model}")
def get_model(model: str, access: Reader) -> ModelOut:
    """``docs``."""
    return _named(model, access)


@router.get("/v1/models/{model}/{collection}")
def get_model_of_collection(model: str, collection: str, access: Reader) -> ModelOut:
    """``docs/<collection>``."""
    return _named(f"{model}/{collection}", access)


def _named(name: str, access: Access) -> ModelOut:
    if name != "docs":
        kind, _, collection = name.partition("/")
        if kind != "docs":
            raise CollectionNotFound(f"There is no model {name!r}; the models are docs and docs/<collection>.")
        access.collection(collection)
    return ModelOut(id=name)
