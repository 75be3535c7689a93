"""torch, opened in one place: its import, the device that models run on, how much fits on it, running out of memory.

`import_torch` is the only way in, because of a trap: registries carry torchvision as a CUDA build, and beside a CPU
build of torch its import ends in ``RuntimeError: operator torchvision::nms does not exist``, which takes
colpali_engine, open_clip and half of transformers with it. Only two operators are missed, and no encoder calls either;
declaring them lets the rest be imported. A matched pair of builds never comes to that line.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from folioscope.errors import ChannelUnavailable

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


def need_torch() -> None:
    """Raises `ChannelUnavailable` where torch is missing; asked before a model is fetched, without importing torch."""
    if find_spec("torch") is None:
        raise ChannelUnavailable("Models need torch, which is not installed.", hint=EXTRA)


def import_torch() -> Any:
    """The module torch, with an importable torchvision where one is installed.

    Raises `ChannelUnavailable` where torch is missing.
    """
    try:
        import torch
    except ImportError as error:
        raise ChannelUnavailable(f"Models need torch, which is not installed ({error}).", hint=EXTRA) from None
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


def free_bytes(device: torch.device) -> int:
    """Memory that a model on this device may still take; on the CPU and on mps, what the system calls available."""
    torch = import_torch()
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return _available_memory()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch may help. torch says it in one class on CUDA and in words elsewhere."""
    torch = import_torch()
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def upload(tensors: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The tensors on the device; on CUDA copied beside what the device computes meanwhile, from page-locked memory.

    Returns when they are there. Where memory runs out, the device's or what may be page-locked, they stay where they
    are: who needs them will see to it.
    """
    torch = import_torch()
    if device.type != "cuda":
        return dict(tensors)
    stream = _copy_stream(device)
    try:
        with torch.cuda.stream(stream):
            placed = {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in tensors.items()}
        stream.synchronize()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return dict(tensors)
    return placed


@cache
def _copy_stream(device: torch.device) -> Any:
    """One for all batches: torch keeps the memory of each stream apart, so that many would hold many batches' worth."""
    return import_torch().cuda.Stream(device)


def first_line(error: BaseException) -> str:
    """What a library said, short enough for a message of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:300]


def release_memory(device: torch.device) -> None:
    """Hand cached blocks back, so that a smaller batch finds room."""
    torch = import_torch()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _available_memory() -> int:
    import os

    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // 2
