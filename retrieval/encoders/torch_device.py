"""torch, opened in one place: its import and the device that models run on.

`import_torch` is the only way in, because of a trap: registries carry torchvision as a CUDA build, and beside a CPU
build of torch its import ends in ``RuntimeError: operator torchvision::nms does not exist``, which takes open_clip and
half of transformers with it. Only two operators are missed, and no encoder calls either; declaring them
lets the rest be imported. A matched pair of builds never comes to that line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from folioscope.errors import ChannelUnavailable

if TYPE_CHECKING:
    from types import ModuleType

    import torch

EXTRA = "pip install 'folioscope[vision]'"

_MISSED = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept_alive: list[Any] = []  # a declared operator goes when the library object does


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model runs and in which precision; ``note`` tells a person which and why."""

    device: torch.device
    dtype: torch.dtype
    note: str


@cache
def import_torch() -> ModuleType:
    """The module torch, with an importable torchvision where one is installed.

    Raises `ChannelUnavailable` where torch is missing.
    """
    try:
        import torch
    except ImportError as error:
        raise ChannelUnavailable(f"Models need torch, which is not installed ({error}).", hint=EXTRA) from None
    _make_torchvision_importable(torch)
    return torch  # type: ignore[no-any-return]


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
    """CUDA in bfloat16, else Apple's GPU, else the CPU in float32."""
    torch = import_torch()
    if torch.cuda.is_available():
        return Device(torch.device("cuda"), torch.bfloat16, f"{torch.cuda.get_device_name(0)}, bfloat16")
    if torch.backends.mps.is_available():
        return Device(torch.device("mps"), torch.float16, "Apple GPU (mps), float16")
    return Device(torch.device("cpu"), torch.float32, "CPU, float32: no GPU was found")
