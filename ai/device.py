"""Where a model computes: a processor or one GPU, named without importing torch where there is no GPU."""

from dataclasses import dataclass, replace
from pathlib import Path

GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Device:
    """`kind` is "cpu" or "cuda"; `threads` bounds the processor threads a model may use."""

    kind: str = "cpu"
    index: int = 0
    threads: int = 2


def best_device(slot: int, processor: Device) -> Device:
    """A GPU for the worker of that number where there is one that torch can use, the processor otherwise.

    Where there is no GPU at all, torch is not even asked: it takes seconds to import.
    """
    if not GPUS.is_dir() or not any(GPUS.iterdir()):
        return processor
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return replace(processor, kind="cuda", index=slot % count) if count else processor
