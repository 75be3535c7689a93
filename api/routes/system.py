"""What says of the server itself: alive, ready, which version, which models."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api.security import Access, Reader
from api.service import Service
from folioscope import __version__
from folioscope.errors import CollectionNotFound

router = APIRouter(tags=["system"])


class Health(BaseModel):
    """That it answers."""

    status: Literal["ok"] = "ok"


class Version(BaseModel):
    """Of the server."""

    version: str


class ModelOut(BaseModel):
    """A model as OpenAI's interface lists them: ``docs`` asks the setting's collection, ``docs/<name>`` that one."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "folioscope"


class Models(BaseModel):
    """``answering``: the model that reads the pages, as the setting has it."""

    object: Literal["list"] = "list"
    data: list[ModelOut]
    answering: str


@router.get("/healthz")
def healthz() -> Health:
    """Whether the process answers."""
    return Health()


@router.get("/readyz")
def readyz(request: Request) -> Health:
    """Whether catalog and jobs work; 503 with the reason's code where not."""
    service: Service = request.app.state.service
    service.library.catalog.collections()
    if (fault := service.library.fault) is not None:
        raise fault
    return Health()


@router.get("/version")
def version() -> Version:
    """Which Folioscope this is."""
    return Version(version=__version__)


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
