"""What encoders ask of the device beside what `folioscope.torch_device` says: how much fits on it, filling it,
clearing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from folioscope.errors import ChannelUnavailable
from folioscope.torch_device import EXTRA, Device, choose_device, import_torch, is_out_of_memory

if TYPE_CHECKING:
    import torch

__all__ = [
    "EXTRA",
    "Device",
    "choose_device",
    "first_line",
    "free_bytes",
    "import_torch",
    "is_out_of_memory",
    "need_torch",
    "release_memory",
    "upload",
]


def need_torch() -> None:
    """Raises `ChannelUnavailable` where torch is missing; asked before a model is fetched, without importing torch."""
    if find_spec("torch") is None:
        raise ChannelUnavailable("Models need torch, which is not installed.", hint=EXTRA)


def free_bytes(device: torch.device) -> int:
    """Memory that a model on this device may still take; on the CPU and on mps, what the system calls available."""
    torch = import_torch()
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return _available_memory()


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
