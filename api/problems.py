"""Errors as problem documents (RFC 9457). What stands in them never tells a path, a host or a traceback."""

from __future__ import annotations

import errno
import http
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from folioscope import errors

STATUS: dict[type[errors.FolioscopeError], int] = {
    errors.NotFoundError: 404,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.TooManyRequests: 429,
    errors.KeyReused: 422,
    errors.StillRunning: 409,
    errors.Changed: 412,
    errors.CollectionExists: 409,
    errors.ChannelRefused: 409,
    errors.FingerprintMismatch: 409,
    errors.StorageError: 503,
    errors.ChannelUnavailable: 503,
    errors.VisionModelNeeded: 422,
    errors.ExtraMissing: 422,
    errors.ModelUnavailable: 503,
    errors.ModelBusy: 503,
    errors.ModelGone: 503,
    errors.ModelTimeout: 504,
    errors.ModelError: 502,
    errors.UnsupportedType: 415,
    errors.TooLarge: 413,
    errors.QueryError: 422,
    errors.DocumentError: 422,
}
"""Of an error's class, or the nearest above it; 500 for any other."""

PLAIN: dict[type[errors.FolioscopeError], str] = {
    errors.FingerprintMismatch: "An index was made with another encoder; whoever runs the server can rebuild it.",
    errors.DiskFull: "The server has no space left on its disk.",
    errors.StorageError: "A part of the server that keeps data can't be used at the moment.",
    errors.ChannelUnavailable: "A channel that this needs can't be used on this server.",
    errors.VisionModelNeeded: "This needs a vision-language model; the server's model reads words alone.",
    errors.ExtraMissing: "The server lacks a package that this needs: pip install 'folioscope[extract]'.",
    errors.ModelUnavailable: "The answering model is not available on this server.",
    errors.ModelBusy: "The answering model is overloaded.",
    errors.ModelGone: "The answering model's server can't be reached at the moment.",
    errors.ModelTimeout: "The answering model did not answer in time.",
    errors.ModelError: "The answering model failed.",
    errors.Unreadable: "The file's bytes could not be read.",
    errors.ConfigError: "The server's settings don't allow this.",
}
"""Said instead of messages of these classes, which name paths, addresses or what a vendor said."""

CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "payload_too_large"}
OPENAI = ("/v1/chat/", "/v1/models")
"""Where errors have OpenAI's shape."""

MOST_TOLD = 50
"""Things that are wrong with one request; who sends a hundred thousand does not get as many sentences."""

RETRY_S = 5  # until a back end that failed is worth another try

log = logging.getLogger(__name__)


def told(error: errors.FolioscopeError) -> str:
    """What may be said of an error to whoever asked over HTTP."""
    for kind in type(error).__mro__:
        if kind in PLAIN:
            return PLAIN[kind]
    if isinstance(error, errors.DocumentError):
        return str(error)  # its hint is about the file, and the catalog keeps it with the message
    return error.message if status_of(error) < 500 else "The server failed."


def status_of(error: errors.FolioscopeError) -> int:
    """The HTTP status that stands for an error."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def problem(status: int, code: str, detail: str, path: str, request_id: str, **more: Any) -> dict[str, Any]:
    """The document itself."""
    title = http.HTTPStatus(status).phrase
    head = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return {**head, "instance": path, "request_id": request_id, **more}


def of_error(error: errors.FolioscopeError, path: str, request_id: str) -> dict[str, Any]:
    """An error of ours as a problem; what is not told is logged."""
    status = status_of(error)
    if status >= 500:
        # Of a model's error not the hint, which says what the vendor said, and that may repeat the question.
        log.error("%s: %s", error.code, error.message if isinstance(error, errors.ModelError) else error)
    return problem(status, error.code, told(error), path, request_id)


def openai(body: Mapping[str, Any]) -> dict[str, Any]:
    """A problem in OpenAI's words."""
    kind = "server_error" if body["status"] >= 500 else "invalid_request_error"
    return {"error": {"message": body["detail"], "type": kind, "code": body["code"], "param": None}}


def response(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem as a response."""
    content, media_type = written(body)
    return JSONResponse(content, status_code=body["status"], headers=dict(headers or {}), media_type=media_type)


def written(body: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A problem as it is sent, with its media type: on OpenAI's routes as OpenAI's clients expect it."""
    if body["instance"].startswith(OPENAI):
        return openai(body), "application/json"
    return dict(body), "application/problem+json"


def headers_of(error: errors.FolioscopeError) -> dict[str, str]:
    """What a client is told to do, in headers."""
    if isinstance(error, errors.Unauthorized):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.TooManyRequests):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, errors.StillRunning):
        return {"Retry-After": "1"}
    if isinstance(error, errors.ModelBusy) and error.retry_after:
        return {"Retry-After": str(max(1, round(error.retry_after)))}
    return {"Retry-After": str(RETRY_S)} if status_of(error) == 503 else {}


def add_to(app: FastAPI) -> None:
    """Every error that a route raises becomes a problem; what nobody expected is the guard's."""
    app.add_exception_handler(errors.FolioscopeError, _ours)
    app.add_exception_handler(OSError, _full)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.FolioscopeError)
    return response(of_error(error, request.url.path, request.state.request_id), headers_of(error))


async def _full(request: Request, error: Exception) -> JSONResponse:
    """A disk without space, met where nobody expected it, as in an upload's temporary file."""
    assert isinstance(error, OSError)
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return await _ours(request, errors.DiskFull("No space left for a temporary file.", hint="Free some space."))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[:MOST_TOLD]
    wrong = [{"where": ".".join(map(str, each["loc"])), "message": each["msg"]} for each in first]
    detail = "; ".join(f"{each['where']}: {each['message']}" for each in wrong)
    found = problem(422, "request_invalid", detail, request.url.path, request.state.request_id, errors=wrong)
    return response(found)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code, detail, path = CODES.get(error.status_code, "http_error"), str(error.detail), request.url.path
    if error.status_code == 404:  # ours are not raised as this: no route leads there
        detail = f"There is nothing at {path}; /docs shows what there is."
    return response(problem(error.status_code, code, detail, path, request.state.request_id), error.headers)
