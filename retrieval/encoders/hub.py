"""Model files from the hub's local cache or, where they are not there yet, from the hub itself.

What has been fetched is used from then on without asking the hub again: the revision stays what it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from folioscope.errors import ChannelUnavailable, ConfigError

SMALL_FILES = ("*.json", "*.txt", "*.model", "*.jinja")  # configurations, tokenizers, prompts
WEIGHTS = ("*.safetensors",)
OLDER_WEIGHTS = ("*.bin",)
CODE = ("*.py",)
_REPO = re.compile(r"[\w.-]+/[\w.-]+")
_TIMEOUT_S = 5.0  # for the hub's first word; downloads take the time they take


def is_repo(name: str) -> bool:
    """Whether a name has the form of a hub id, ``organisation/model``."""
    return bool(_REPO.fullmatch(name)) and not name.startswith(("./", "../", "~"))


def fetch(
    repo: str, weights: Sequence[str] = WEIGHTS, older: Sequence[str] = OLDER_WEIGHTS, *, code: bool = False
) -> Path:
    """The folder with a model's small files and the weights of these patterns; downloads what the cache lacks.

    ``older``: what is taken where the repository has none of ``weights``. ``code``: Python files are wanted, too.
    Raises `ChannelUnavailable` where the files are not here and the hub can't be reached or does not give them out.
    """
    choices = [patterns for patterns in (weights, older) if patterns]
    small = [*SMALL_FILES, *(CODE if code else ())]
    for find in (_cached, _download):
        for patterns in choices:
            folder = find(repo, [*small, *patterns])
            if folder is not None and any(any(folder.glob(pattern)) for pattern in patterns):
                return folder
    assert folder is not None
    return folder  # without weights: whoever opens it says so


def is_cached(repo: str) -> bool:
    """Whether a model's weights and small files are in the local cache; what was cut short is not."""
    from huggingface_hub import constants

    if not (Path(constants.HF_HUB_CACHE) / _folder_name(repo)).is_dir():
        return False
    found = {patterns: _cached(repo, [*SMALL_FILES, *patterns]) for patterns in (WEIGHTS, OLDER_WEIGHTS)}
    return any(folder and any(folder.glob(patterns[0])) for patterns, folder in found.items())


def _folder_name(repo: str) -> str:
    return f"models--{repo.replace('/', '--')}"


def _cached(repo: str, patterns: Sequence[str]) -> Path | None:
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repo, allow_patterns=list(patterns), local_files_only=True))
    except errors.HFValidationError as error:
        raise ConfigError(f"{repo!r} is no hub id: {error}", hint="A hub id is organisation/model.") from None
    except errors.LocalEntryNotFoundError:
        return None


def _download(repo: str, patterns: Sequence[str]) -> Path:
    import httpx2
    from huggingface_hub import HfApi, errors, snapshot_download

    try:
        HfApi().model_info(repo, timeout=_TIMEOUT_S)  # the download itself would try again for minutes
        return Path(snapshot_download(repo, allow_patterns=list(patterns), etag_timeout=_TIMEOUT_S))
    except (errors.RepositoryNotFoundError, errors.GatedRepoError) as error:
        raise ChannelUnavailable(
            f"The hub does not give out {repo}: it does not exist, is private, or asks for consent "
            f"({_first_line(error)}).",
            hint="Check the name; for a gated model accept its terms on the hub and set HF_TOKEN. "
            "The lexical channel works meanwhile.",
        ) from None
    except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled, httpx2.TransportError, OSError) as error:
        raise _unreachable(repo, error) from error


def _unreachable(repo: str, error: Exception) -> ChannelUnavailable:
    from huggingface_hub import constants

    return ChannelUnavailable(
        f"{repo} is not in {constants.HF_HUB_CACHE}, and {constants.ENDPOINT} can't be reached ({_first_line(error)}).",
        hint=f"Set HF_ENDPOINT to a mirror; or run `folioscope models pull` where there is a network and copy "
        f"{_folder_name(repo)} from its cache into the one here (HF_HOME moves it); or name a folder, not a hub id. "
        "The lexical channel works meanwhile.",
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
