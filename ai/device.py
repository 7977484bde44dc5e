"""Where a model computes: a processor or one GPU, named without importing torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """`kind` is "cpu" or "cuda"; `threads` bounds the processor threads a model may use."""

    kind: str = "cpu"
    index: int = 0
    threads: int = 2
