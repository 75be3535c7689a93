"""Encoders on a server: a vLLM pooling endpoint for pages and queries, an OpenAI-compatible one for texts.

vLLM (as of 0.32; task ``token_embed``, one vector a token):

* a query is ``POST <url>/pooling`` with ``{"model", "task": "token_embed", "input": [text]}``;
* a page is the same with ``messages`` instead of ``input``: one user message with an ``image_url`` part (a data URL)
  and the text "Describe the image.", the prompt that the ColPali family is trained with;
* the answer is ``{"data": [{"index": 0, "data": [[…], …]}]}``, a list of vectors for each input.

OpenAI: ``POST <url>/embeddings`` with ``{"model", "input": [text, …], "encoding_format": "float"}`` answers
``{"data": [{"index": 0, "embedding": […]}, …]}``.

Which weights a server has can't be asked: fingerprints name the model and nothing more. Keys are read from the
environment for each request and shown nowhere.
"""

from __future__ import annotations

import base64
import io
import os
import random
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Fingerprint, PageInput, Vector
from folioscope.errors import ChannelUnavailable, ConfigError

AGAIN = (408, 429, 500, 502, 503, 504)  # HTTP statuses after which it is worth trying again
FIRST_WAIT_S = 0.5  # before the second attempt; doubled each time
LONGEST_WAIT_S = 20.0  # also where the server asks for more (Retry-After)
CONNECT_S = 5.0

LONG_EDGE = 1400  # pixels of the page images that are sent; the server scales them to its model's size
PAGES_AT_ONCE = 8  # requests under way together: the server makes a batch of them
TEXTS_A_REQUEST = 64
CHARACTERS_A_TOKEN = 4  # English text has about so many; the server's tokenizer is not here


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is tried and how many seconds an answer may take."""

    attempts: int
    answer_s: float


PAGES = Patience(5, 120.0)
QUERY = Patience(2, 10.0)  # a person is waiting, and other channels can answer


class Endpoint:
    """A model behind a URL: posts JSON, tries again, maps failures. Safe to use from several threads.

    ``spec``: ``URL#MODEL``. ``key``: the variable with the API key, sent as a bearer token where it is set. Raises
    `ConfigError` for a spec of another form.
    """

    def __init__(self, spec: str, key: str) -> None:
        url, _, self.model = spec.partition("#")
        self.url = url.rstrip("/")
        self.key = key
        scheme, _, rest = self.url.partition("://")
        host = rest.split("/", 1)[0]
        if "@" in host:
            raise ConfigError("The URL of an encoder carries a password.", hint=f"Set the variable {key} instead.")
        if scheme not in ("http", "https") or not host or not self.model:
            raise ConfigError(f"{spec!r} is not URL#MODEL.", hint="Write for example http://127.0.0.1:8000#MODEL.")

    def post(self, path: str, payload: dict[str, Any], patience: Patience) -> list[dict[str, Any]]:
        """The answer's ``data``, sorted by ``index``.

        Raises `ChannelUnavailable` where the server refuses, or is down, slow or busy at every attempt.
        """
        import httpx2

        problem, wait = "", 0.0
        for attempt in range(patience.attempts):
            time.sleep(wait)
            # The random part keeps clients from marching in step.
            wait = FIRST_WAIT_S * 2**attempt * random.uniform(0.8, 1.2)  # noqa: S311
            try:
                response = self._client.post(
                    self.url + path,
                    json={"model": self.model, **payload},
                    headers=self._headers(),
                    timeout=httpx2.Timeout(patience.answer_s, connect=CONNECT_S),
                )
            except httpx2.TransportError as error:
                problem = f"{type(error).__name__} {error}".strip()
                continue
            if response.status_code == 200:
                return self._data(path, response)
            problem = f"status {response.status_code}: {response.text.strip()[:300]}"
            if response.status_code not in AGAIN:
                raise self._refused(path, response.status_code, problem)
            wait = min(max(wait, _retry_after(response.headers.get("retry-after"))), LONGEST_WAIT_S)
        raise ChannelUnavailable(
            f"{self.model} at {self.url}{path} did not answer in {patience.attempts} attempts ({problem}).",
            hint="Check that the server runs and serves this model. The lexical channel works meanwhile.",
        )

    @cached_property
    def _client(self) -> Any:
        import httpx2

        client = httpx2.Client()
        weakref.finalize(self, client.close)
        return client

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self.key)
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _data(self, path: str, response: Any) -> list[dict[str, Any]]:
        try:
            return sorted(response.json()["data"], key=lambda row: int(row["index"]))
        except (ValueError, KeyError, TypeError):
            raise self.misunderstood(path, response.text) from None

    def _refused(self, path: str, status: int, problem: str) -> ChannelUnavailable:
        hints = {
            401: f"Set the API key in the variable {self.key}.",
            403: f"Check the API key in the variable {self.key}.",
            404: "Check the URL and the model's name: `GET <url>/v1/models` lists what a server has.",
        }
        hint = hints.get(status, "Check that this model can do this.") + " The lexical channel works meanwhile."
        return ChannelUnavailable(f"{self.url}{path} refused a request to {self.model}: {problem}.", hint=hint)

    def misunderstood(self, path: str, answer: object) -> ChannelUnavailable:
        """An answer that is not of the expected form."""
        return ChannelUnavailable(
            f"{self.url}{path} answered what is not understood here: {str(answer)[:200]}.",
            hint="Check the URL: vLLM takes the server's address, other servers the one that ends in /v1.",
        )

    def vectors(self, path: str, value: object, dim: int | None) -> NDArray[np.float32]:
        """A list of vectors as float32 [n, dim], rows of length 1. Raises `ChannelUnavailable` for anything else."""
        try:
            rows = np.asarray(value, np.float32)
        except (TypeError, ValueError):
            raise self.misunderstood(path, value) from None
        if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
            raise self.misunderstood(path, value)
        if dim is not None and rows.shape[1] != dim:
            raise ChannelUnavailable(
                f"{self.model} at {self.url} gives vectors of {rows.shape[1]} dimensions now, it gave {dim} before.",
                hint="Does the server serve another model under this name? Then rebuild the channel.",
            )
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)


class VllmEncoder:
    """Implements `folioscope.ports.Encoder` with multi-vectors from a vLLM server (``vllm serve MODEL``).

    ``spec``: ``URL#MODEL``, the URL without a path; the variable VLLM_API_KEY has the key of a server that asks for
    one. The first use asks the server for its dimension. Raises `ConfigError`, and `ChannelUnavailable` at use.
    """

    batch_size = PAGES_AT_ONCE

    def __init__(self, spec: str) -> None:
        self.endpoint = Endpoint(spec, "VLLM_API_KEY")
        self._remembered = lru_cache(maxsize=512)(self._encode_query)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The model's name and dimension; one request."""
        dim = self._ask({"input": ["a"]}, QUERY, None).shape[1]
        return Fingerprint(f"vllm:{self.endpoint.model}", "remote", "multi", dim, f"images of {LONG_EDGE} px")

    def encode_pages(self, pages: Sequence[PageInput]) -> list[Vector | None]:
        """One float32 [tokens, dim] a page, rows of length 1, the prompt's tokens among them.

        Raises ``ValueError`` for a page handed in without an image.
        """
        dim = self.fingerprint.dim
        messages = [{"messages": _page_message(page)} for page in pages]
        with ThreadPoolExecutor(PAGES_AT_ONCE) as pool:
            return list(pool.map(lambda message: self._ask(message, PAGES, dim), messages))

    def encode_query(self, query: str) -> Vector | None:
        """float32 [tokens, dim], read-only (recent queries are remembered); None for a query without words."""
        return self._remembered(query)

    def _encode_query(self, query: str) -> Vector | None:
        if not query.strip():
            return None
        vectors = self._ask({"input": [query]}, QUERY, self.fingerprint.dim)
        vectors.setflags(write=False)
        return vectors

    def _ask(self, what: dict[str, Any], patience: Patience, dim: int | None) -> NDArray[np.float32]:
        rows = self.endpoint.post("/pooling", {"task": "token_embed", **what}, patience)
        if len(rows) != 1:
            raise self.endpoint.misunderstood("/pooling", f"{len(rows)} results for one input")
        return self.endpoint.vectors("/pooling", rows[0].get("data"), dim)


class OpenAITexts:
    """Implements `retrieval.encoders.semantic.TextModel` with an OpenAI-compatible embeddings endpoint.

    ``spec``: ``URL#MODEL``, the URL as in OPENAI_BASE_URL (it ends in ``/v1``, which is added where it has no path);
    the variable OPENAI_API_KEY has the key. Raises `ConfigError`, and `ChannelUnavailable` at use.
    """

    revision = "remote"

    def __init__(self, spec: str) -> None:
        self.endpoint = Endpoint(spec, "OPENAI_API_KEY")
        self.path = "/embeddings" if "/" in self.endpoint.url.partition("://")[2] else "/v1/embeddings"
        self.name = f"openai:{self.endpoint.model}"

    @cached_property
    def dim(self) -> int:
        """Length of a vector; one request."""
        return int(self._ask(["a"], QUERY, None).shape[1])

    def token_ends(self, words: Sequence[str]) -> NDArray[np.int64]:
        """int64 [words]: an estimate of the tokens up to each word's end, from its characters."""
        return np.cumsum([-(-len(word) // CHARACTERS_A_TOKEN) for word in words], dtype=np.int64)

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        """float32 [len(texts), dim], rows of length 1. The protocol does not tell questions from documents."""
        patience = QUERY if query else PAGES
        starts = range(0, len(texts), TEXTS_A_REQUEST)
        parts = [self._ask(texts[start : start + TEXTS_A_REQUEST], patience, self.dim) for start in starts]
        return np.concatenate(parts)

    def _ask(self, texts: Sequence[str], patience: Patience, dim: int | None) -> NDArray[np.float32]:
        payload = {"input": list(texts), "encoding_format": "float"}
        rows = self.endpoint.post(self.path, payload, patience)
        if len(rows) != len(texts):
            raise self.endpoint.misunderstood(self.path, f"{len(rows)} results for {len(texts)} inputs")
        return self.endpoint.vectors(self.path, [row.get("embedding") for row in rows], dim)


def _page_message(page: PageInput) -> list[dict[str, Any]]:
    if page.image is None:
        raise ValueError(f"{page.key} was handed to the visual channel without an image")
    url = {"url": data_url(page.image(LONG_EDGE))}
    parts = [{"type": "image_url", "image_url": url}, {"type": "text", "text": "Describe the image."}]
    return [{"role": "user", "content": parts}]


def data_url(image: NDArray[np.uint8]) -> str:
    """uint8 [h, w, 3] RGB -> a PNG (nothing is lost) as a data URL."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _retry_after(value: str | None) -> float:
    """Seconds that a server asks for; 0 where it says nothing, or a date."""
    try:
        return float(value or 0)
    except ValueError:
        return 0.0
