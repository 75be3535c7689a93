"""torch, opened in one place for all rooms: its import, the device that models run on, running out of memory.

`import_torch` is the only way in, because of a trap: registries carry torchvision as a CUDA build, and beside a CPU
build of torch its import ends in ``RuntimeError: operator torchvision::nms does not exist``, which takes
colpali_engine, open_clip and half of transformers with it. Only two operators are missed, and no model of ours calls
either; declaring them lets the rest be imported. A matched pair of builds never comes to that line.

Nothing here imports torch before a function is called.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from folioscope.errors import ChannelUnavailable, FolioscopeError

if TYPE_CHECKING:
    import torch

EXTRA = "pip install 'folioscope[vision]'"

_MISSED = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_one_at_a_time = threading.Lock()
_kept_alive: list[Any] = []  # a declared operator goes when the library object does


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model runs and in which precision; ``note`` tells a person which and why."""

    device: torch.device
    dtype: torch.dtype
    note: str


def import_torch(missing: type[FolioscopeError] = ChannelUnavailable) -> Any:
    """The module torch, with an importable torchvision where one is installed.

    Raises ``missing`` where torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise missing(f"Models need torch, which is not installed ({error}).", hint=EXTRA) from None
    with _one_at_a_time:
        _make_torchvision_importable(torch)
    return torch


@cache
def _make_torchvision_importable(torch: Any) -> None:
    try:
        import torchvision
    except ImportError:
        return  # transformers' own classes do without
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in _MISSED:
            library.define(operator)
        _kept_alive.append(library)
        import torchvision  # noqa: F401


def choose_device() -> Device:
    """CUDA in bfloat16, else Apple's GPU, else the CPU in float32.

    float16 is nobody's second choice: several of the models overflow in it.
    """
    torch = import_torch()
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Device(torch.device("cuda"), torch.bfloat16, f"{name} (cuda), bfloat16")
        return Device(torch.device("cuda"), torch.float32, f"{name} (cuda), float32: it has no bfloat16")
    if torch.backends.mps.is_available():
        if torch.backends.mps.is_macos_or_newer(14, 0):
            return Device(torch.device("mps"), torch.bfloat16, "Apple GPU (mps), bfloat16")
        return Device(torch.device("mps"), torch.float32, "Apple GPU (mps), float32: bfloat16 needs macOS 14")
    return Device(torch.device("cpu"), torch.float32, "CPU, float32: torch finds no GPU")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less at a time may help. torch says it in one class on CUDA and in words elsewhere."""
    torch = import_torch()
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
