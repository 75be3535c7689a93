"""Models that are known to serve, as a plain table, and fetching them ahead of time.

Any other model of a supported class does as well; these were chosen for licence, size and published quality. The number
in a note is the published nDCG@10 on ViDoRe V3, English. Sizes and licences are those of the model cards: read the card
before use.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from folioscope.errors import ConfigError
from retrieval.encoders.hub import fetch, is_cached, is_repo
from retrieval.encoders.sentence_model import PACKAGE


@dataclass(frozen=True, slots=True)
class KnownModel:
    """``spec``: as `open_encoder` takes it. ``millions``: of parameters. ``dim``: length of a vector.

    ``hardware``: a hint, not a measurement; gigabytes are the weights in half precision and about as much again to work
    with. ``note``: what it is good for.
    """

    spec: str
    channel: str
    millions: int
    dim: int
    licence: str
    hardware: str
    note: str = ""

    @property
    def cached(self) -> bool:
        """Whether its files are here already."""
        repo = hub_id(self.spec)
        return is_cached(repo) if repo else find_spec(PACKAGE) is not None


KNOWN = (
    KnownModel("semantic", "semantic", 23, 384, "Apache-2.0", "CPU", "all-MiniLM-L6-v2, a Python package, no torch"),
    KnownModel("semantic:BAAI/bge-small-en-v1.5", "semantic", 33, 384, "MIT", "CPU", "English"),
    KnownModel("semantic:intfloat/multilingual-e5-small", "semantic", 118, 384, "MIT", "CPU", "100 languages"),
    KnownModel("semantic:BAAI/bge-m3", "semantic", 568, 1024, "MIT", "GPU, 2 GB", "100 languages"),
    KnownModel("semantic:Qwen/Qwen3-Embedding-0.6B", "semantic", 596, 1024, "Apache-2.0", "GPU, 2 GB"),
    KnownModel("clip:laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "image", 151, 512, "MIT", "CPU", "photos; default"),
    KnownModel("clip:openai/clip-vit-large-patch14", "image", 428, 768, "MIT", "CPU or GPU", "photos; ViDoRe V3 20.7"),
    KnownModel("clip:google/siglip2-base-patch16-224", "image", 375, 768, "Apache-2.0", "CPU", "photos, multilingual"),
    KnownModel("clip:google/siglip2-so400m-patch14-384", "image", 1136, 1152, "Apache-2.0", "GPU, 4 GB", "photos"),
    KnownModel(
        "colpali:ModernVBERT/colmodernvbert-merged",
        "visual",
        250,
        128,
        "MIT",
        "CPU or GPU",
        "default; ViDoRe V3 53.2",
    ),
    KnownModel(
        "colpali:vidore/colSmol-256M", "visual", 256, 128, "Apache-2.0 and MIT", "CPU or GPU", "English; ViDoRe V3 48.2"
    ),
    KnownModel("colpali:vidore/colSmol-500M", "visual", 500, 128, "Apache-2.0 and MIT", "CPU or GPU", "English"),
    KnownModel("colpali:vidore/colpali-v1.3", "visual", 2924, 128, "Gemma and MIT", "GPU, 12 GB", "ViDoRe V3 54.8"),
    KnownModel("colpali:vidore/colqwen2-v1.0", "visual", 2209, 128, "Apache-2.0 and MIT", "GPU, 9 GB"),
    KnownModel(
        "colpali:vidore/colqwen2.5-v0.2", "visual", 3755, 128, "Qwen Research and MIT", "GPU, 15 GB", "ViDoRe V3 61.2"
    ),
    KnownModel(
        "colpali:TomoroAI/tomoro-colqwen3-embed-4b",
        "visual",
        4400,
        320,
        "Apache-2.0",
        "GPU, 18 GB",
        "with code of its own",
    ),
    KnownModel("colpali:vultr/VultronRetrieverFlash-Qwen3.5-0.8B", "visual", 800, 320, "Apache-2.0", "GPU, 4 GB"),
    KnownModel(
        "colpali:vultr/VultronRetrieverPrime-Qwen3.5-8B",
        "visual",
        8400,
        320,
        "Apache-2.0",
        "GPU, 20 GB",
        "ViDoRe V3 69.8",
    ),
)


def hub_id(spec: str) -> str | None:
    """The hub id in a spec such as ``clip:hf-hub:ORG/MODEL``, if it names one."""
    name = spec.partition(":")[2].removeprefix("hf-hub:")
    return name if is_repo(name) and not Path(name).expanduser().is_dir() else None


def pull(spec: str, *, trust_remote_code: bool = False) -> list[Path]:
    """Fetch what ``spec`` needs into the hub's cache; the folders, an adapter's base model among them.

    ``trust_remote_code``: fetch the Python code that comes with a model, too.
    Raises `ConfigError` where there is nothing to fetch, `ChannelUnavailable` where the hub can't be reached.
    """
    kind, _, rest = spec.partition(":")
    if kind == "clip" and rest:
        from retrieval.encoders import clip_models

        return [clip_models.find(rest).folder]
    repo = hub_id(spec) if kind in ("colpali", "semantic") else None
    if repo is None:
        raise ConfigError(
            f"There is nothing to fetch for {spec!r}.", hint="`folioscope models ls` shows specs with hub ids."
        )
    if kind == "semantic":
        return [fetch(repo, code=trust_remote_code)]
    from retrieval.encoders.checkpoints import find_checkpoint

    checkpoint = find_checkpoint(repo, code=trust_remote_code)
    return [checkpoint.folder, *([checkpoint.base.folder] if checkpoint.base else [])]
