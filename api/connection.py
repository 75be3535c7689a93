"""A connection to a Folioscope server: requests, problems that become our errors again, server-sent events."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from folioscope import errors

TRIES = 3  # of a request that only reads, where the connection fails
PAUSE_S = 0.2  # before the second, twice that before the third
LOOPBACK = ("localhost", "127.0.0.1", "::1")
Kind = TypeVar("Kind", bound=BaseModel)


def _tree(kind: type[errors.FolioscopeError]) -> Iterator[type[errors.FolioscopeError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


ERRORS: dict[str, type[errors.FolioscopeError]] = {
    **{kind.code: kind for kind in _tree(errors.FolioscopeError)},
    "bad_request": errors.QueryError,
    "request_invalid": errors.QueryError,
    "method_not_allowed": errors.ServerError,
    "http_error": errors.ServerError,
    "host_not_allowed": errors.ConfigError,
    "origin_not_allowed": errors.Forbidden,
}
"""What a problem's ``code`` was before it went over the wire."""

HINTS: dict[str, str] = {
    "unauthorized": "Give one with --api-key or FOLIOSCOPE_API_KEY; the server's `folioscope keys create` makes them.",
    "host_not_allowed": "The server is started with `--allow-host NAME` for names like this one.",
}


class Connection:
    """To the server at ``url``; may be used by several threads. ``timeout``: seconds without a word from it."""

    def __init__(self, url: str, api_key: str | None = None, *, timeout: float = 60.0) -> None:
        try:
            parsed = httpx2.URL(url.rstrip("/"))
        except httpx2.InvalidURL:
            parsed = httpx2.URL("")
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise errors.ConfigError(f"{url!r} is no URL of a server.", hint="Write for example http://localhost:8000.")
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise errors.ConfigError("The key has characters that no key has.", hint="Copy it anew.")
        self.url = str(parsed)
        self._client = httpx2.Client(
            base_url=parsed,
            headers={"authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx2.Timeout(timeout, connect=10.0),
            trust_env=parsed.host not in LOOPBACK,  # no proxy stands before this machine
        )

    def close(self) -> None:
        """No request can be made afterwards."""
        self._client.close()

    def get(self, path: str, **request: Any) -> httpx2.Response:
        """As `send`, tried again where the connection fails: reading twice changes nothing."""
        for attempt in range(1, TRIES):
            try:
                return self.send("GET", path, **request)
            except errors.ServerUnreachable as error:
                if isinstance(error.__cause__, httpx2.TimeoutException):
                    raise
            time.sleep(attempt * PAUSE_S)
        return self.send("GET", path, **request)

    def send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """One request, made once. Raises as `error_of` says, and `ServerUnreachable`."""
        with self._reaching():
            response = self._client.request(method, path, **_given(request))
        self._check(response)
        return response

    def read(self, kind: type[Kind], said: httpx2.Response | str) -> Kind:
        """What a response or an event's data say. Raises `ServerError` where no Folioscope server says so."""
        try:
            return kind.model_validate_json(said if isinstance(said, str) else said.content)
        except ValidationError:
            raise _stranger(self.url) from None

    @contextlib.contextmanager
    def stream(self, method: str, path: str, **request: Any) -> Iterator[httpx2.Response]:
        """As `send`, the body not yet read."""
        with self._reaching(), self._client.stream(method, path, **_given(request)) as response:
            if not response.is_success:
                response.read()
            self._check(response)
            yield response

    def events(self, method: str, path: str, **request: Any) -> Iterator[httpx2.ServerSentEvent]:
        """The events of a stream until it ends. One that is called ``error`` is raised."""
        with self.stream(method, path, **request) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise _stranger(self.url)
            for event in httpx2.EventSource(response, max_event_size=None):
                if event.event == "error":
                    problem = json.loads(event.data)
                    raise error_of(problem.get("status", 500), problem, self.url)
                yield event

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TimeoutException as error:
            raise errors.ServerUnreachable(
                f"The server at {self.url} does not answer in time.", hint="Try again, or look at its log."
            ) from error
        except (httpx2.TransportError, httpx2.StreamError) as error:
            raise errors.ServerUnreachable(
                f"The server at {self.url} can't be reached, or broke off: {str(error) or type(error).__name__}.",
                hint="Is it running? `folioscope serve` starts one.",
            ) from error

    def _check(self, response: httpx2.Response) -> None:
        if response.is_success:
            return
        try:
            problem = response.json()
        except ValueError:
            problem = None
        raise error_of(response.status_code, problem, self.url, response.headers.get("retry-after", ""))


def error_of(status: int, problem: Any, url: str, retry_after: str = "") -> errors.FolioscopeError:
    """A problem document as the error that it was on the server; what is none is a `ServerError`."""
    if not isinstance(problem, dict) or not isinstance(problem.get("code"), str):
        return errors.ServerError(
            f"{url} answered {status}, and not as a Folioscope server does.", hint="Is the address right?"
        )
    code, message = problem["code"], str(problem.get("detail") or problem.get("title") or status)
    kind = ERRORS.get(code, errors.ServerError)
    error = kind(message, hint=HINTS.get(code, ""))
    if isinstance(error, errors.TooManyRequests | errors.ModelBusy) and retry_after.isdecimal():
        error.retry_after = int(retry_after)
    return error


def _stranger(url: str) -> errors.ServerError:
    return errors.ServerError(
        f"{url} does not answer as a Folioscope server does.",
        hint="Is the address right, and the server of this version?",
    )


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _given(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given(value) if name in ("params", "json") else value for name, value in request.items()}
