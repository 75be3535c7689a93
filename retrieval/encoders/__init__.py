"""What turns pages and questions into vectors: one encoder a file, each implements `folioscope.ports.Encoder`."""

from folioscope.errors import ConfigError
from folioscope.ports import Analyzer, Encoder

__all__ = ["ENCODERS", "analyzer", "open_encoder"]

ENCODERS = (
    "lexical",
    "semantic",
    "semantic:<folder or hub id>",
    "clip:<folder, hub id or open_clip model>",
    "vllm:<url>#<model>",
    "openai-embeddings:<url>#<model>",
)


def open_encoder(spec: str) -> Encoder:
    """The encoder named by ``spec``, one of `ENCODERS`. Weights are loaded when they are first needed.

    Raises `ConfigError` for an unknown name, `ChannelUnavailable` where the weights are not installed.
    """
    name, _, rest = spec.partition(":")
    if spec == "lexical":
        from retrieval.encoders.lexical import LexicalEncoder

        return LexicalEncoder()
    if spec == "semantic" or (name == "semantic" and rest):
        from retrieval.encoders.semantic import SemanticEncoder

        return SemanticEncoder(rest or "auto")
    if name == "clip" and rest:
        from retrieval.encoders.clip import ClipEncoder

        return ClipEncoder(rest)
    if name == "vllm" and rest:
        from retrieval.encoders.remote import VllmEncoder

        return VllmEncoder(rest)
    if name == "openai-embeddings" and rest:
        from retrieval.encoders.remote import OpenAITexts
        from retrieval.encoders.semantic import SemanticEncoder

        return SemanticEncoder(OpenAITexts(rest))
    raise ConfigError(f"There is no encoder {spec!r}.", hint=f"Known encoders: {', '.join(ENCODERS)}.")


def analyzer() -> Analyzer:
    """Text -> index terms, as the lexical channel sees them."""
    from retrieval.analysis import TextAnalyzer

    return TextAnalyzer()
