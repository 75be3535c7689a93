"""What the application's own description (/openapi.json) says of errors: the same of every operation, said once."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from api import problems

PROBLEM = "#/components/schemas/Problem"
OPENAI_ERROR = "#/components/schemas/OpenAIError"


class Wrong(BaseModel):
    """One thing that is wrong with a request."""

    where: str
    message: str


class Problem(BaseModel):
    """An error (RFC 9457). ``code``: what programs go by. ``errors``: with ``request_invalid``, what is wrong where."""

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    code: str
    detail: str
    instance: str
    request_id: str
    errors: list[Wrong] = []


class OpenAIFault(BaseModel):
    """What went wrong, in OpenAI's words."""

    message: str
    type: str
    code: str
    param: str | None


class OpenAIError(BaseModel):
    """An error as OpenAI's clients expect it."""

    error: OpenAIFault


def describe_errors(app: FastAPI) -> None:
    """Every operation's 4xx and 5xx are problems, on OpenAI's routes errors of its shape."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = described()
            schemas = found.setdefault("components", {}).setdefault("schemas", {})
            for model in (Wrong, Problem, OpenAIFault, OpenAIError):
                schemas[model.__name__] = _schema(model)
            for path, operations in found["paths"].items():
                for operation in operations.values():
                    _add(operation["responses"], openai=path.startswith(problems.OPENAI))
            # FastAPI's own idea of an invalid request; ours are problems.
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    found = model.model_json_schema(ref_template="#/components/schemas/{model}")
    found.pop("$defs", None)
    return found


def _add(responses: dict[str, Any], *, openai: bool) -> None:
    responses.pop("422", None)
    media, schema = ("application/json", OPENAI_ERROR) if openai else ("application/problem+json", PROBLEM)
    content = {media: {"schema": {"$ref": schema}}}
    for status, whose in (("4XX", "The request can't be answered."), ("5XX", "The server or a part of it failed.")):
        responses[status] = {"description": whose, "content": content}
