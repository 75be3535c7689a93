"""What a server says of itself to everyone: its version, its models."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


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
