"""What turns pages and questions into vectors: one encoder a file, each implements `folioscope.ports.Encoder`."""

from folioscope.errors import ConfigError
from folioscope.ports import Analyzer, Encoder

__all__ = ["ENCODERS", "analyzer", "open_encoder"]

ENCODERS = ("lexical", "semantic", "semantic:<folder or model>", "clip:<model or folder>")


def open_encoder(spec: str) -> Encoder:
    """The encoder named by ``spec``, one of `ENCODERS`. Weights are loaded when they are first needed.

    Raises `ConfigError` for an unknown name, `ChannelUnavailable` where the weights are not installed.
    """
    name, _, folder = spec.partition(":")
    if spec == "lexical":
        from retrieval.encoders.lexical import LexicalEncoder

        return LexicalEncoder()
    if spec == "semantic" or (name == "semantic" and folder):
        from retrieval.encoders.semantic import SemanticEncoder

        return SemanticEncoder(folder or "auto")
    if name == "clip" and folder:
        from retrieval.encoders.clip import ClipEncoder

        return ClipEncoder(folder)
    raise ConfigError(f"There is no encoder {spec!r}.", hint=f"Known encoders: {', '.join(ENCODERS)}.")


def analyzer() -> Analyzer:
    """Text -> index terms, as the lexical channel sees them."""
    from retrieval.analysis import TextAnalyzer

    return TextAnalyzer()
