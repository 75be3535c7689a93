"""What turns pages and questions into vectors: one encoder a file, each implements `folioscope.ports.Encoder`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from folioscope.errors import ConfigError
from folioscope.ports import Analyzer, Encoder

__all__ = ["ENCODERS", "analyzer", "channel_of", "open_encoder", "reads_images", "settled"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """Encoders of one name, all for the same ``channel``.

    ``argument``: what follows the name and a colon; ``default``: may be left out, then this. ``open`` gets the
    argument, and whether code that comes with a model may be run, and imports what it needs.
    """

    open: Callable[[str, bool], Encoder]
    channel: str
    argument: str = ""
    default: str | None = None


def _lexical(_: str, _trust: bool) -> Encoder:
    from retrieval.encoders.lexical import LexicalEncoder

    return LexicalEncoder()


def _semantic(model: str, trust: bool) -> Encoder:
    from retrieval.encoders.semantic import SemanticEncoder, open_text_model

    return SemanticEncoder(open_text_model(model, trust_remote_code=trust))


def _colpali(model: str, trust: bool) -> Encoder:
    from retrieval.encoders.colpali import ColPaliEncoder

    return ColPaliEncoder(model, trust_remote_code=trust)


def _clip(model: str, _trust: bool) -> Encoder:
    from retrieval.encoders.clip import ClipEncoder

    return ClipEncoder(model)


def _vllm(server: str, _trust: bool) -> Encoder:
    from retrieval.encoders.remote import VllmEncoder

    return VllmEncoder(server)


def _openai_embeddings(server: str, _trust: bool) -> Encoder:
    from retrieval.encoders.remote import OpenAITexts
    from retrieval.encoders.semantic import SemanticEncoder

    return SemanticEncoder(OpenAITexts(server))


_KINDS = {
    "lexical": _Kind(_lexical, "lexical", default=""),
    "semantic": _Kind(_semantic, "semantic", "<folder or hub id>", default="auto"),
    "colpali": _Kind(_colpali, "visual", "<folder or hub id>"),
    "clip": _Kind(_clip, "image", "<folder, hub id or open_clip model>"),
    "vllm": _Kind(_vllm, "visual", "<url>#<model>"),
    "openai-embeddings": _Kind(_openai_embeddings, "semantic", "<url>#<model>"),
}

ENCODERS = tuple(
    form
    for name, kind in _KINDS.items()
    for form in ([name] if kind.default is not None else []) + ([f"{name}:{kind.argument}"] if kind.argument else [])
)


def open_encoder(spec: str, *, trust_remote_code: bool = False) -> Encoder:
    """The encoder named by ``spec``, one of `ENCODERS`. Weights are loaded when they are first needed.

    ``trust_remote_code``: run Python code that comes with a ``colpali`` or ``semantic`` model; it can do whatever the
    user of this process can. Raises `ConfigError` for an unknown name and for a model whose code is not trusted,
    `ChannelUnavailable` where the weights are not installed.
    """
    kind, argument = _parse(spec)
    return kind.open(argument, trust_remote_code)


def channel_of(spec: str) -> str:
    """The channel whose vectors the encoder makes. Raises `ConfigError` for an unknown name."""
    return _parse(spec)[0].channel


def reads_images(spec: str) -> bool:
    """Whether the encoder sees a page's image, not its words. Raises `ConfigError` for an unknown name."""
    return channel_of(spec) in ("visual", "image")


def settled(spec: str) -> str:
    """``spec`` as it is written down: a folder in full, so that it is the same one from any other folder."""
    name, _, argument = spec.partition(":")
    kind = _KINDS.get(name)
    folder = Path(argument.removeprefix("local-dir:")).expanduser()
    if kind is None or argument in ("", kind.default) or not folder.is_dir():
        return spec
    return f"{name}:{folder.absolute()}"


def _parse(spec: str) -> tuple[_Kind, str]:
    name, colon, argument = spec.partition(":")
    kind = _KINDS.get(name)
    if kind is not None and kind.default is not None and not colon:
        return kind, kind.default
    if kind is not None and kind.argument and argument:
        return kind, argument
    raise ConfigError(f"There is no encoder {spec!r}.", hint=f"Known encoders: {', '.join(ENCODERS)}.")


def analyzer() -> Analyzer:
    """Text -> index terms, as the lexical channel sees them."""
    from retrieval.analysis import TextAnalyzer

    return TextAnalyzer()
