"""Tensors of a checkpoint that was pickled: torch's restricted reader makes tensors, and of all else empty shells.

nnU-Net and torchxrayvision publish pickles. A pickle names classes and calls them; here every name of the lists below
stands for a shell that keeps what it is given and does nothing, and any other name is refused. Nothing of the file, nor
of the packages that wrote it, ever runs. There is no second way to read it.
"""

import io
import pickle  # its error alone
import pickletools
import warnings
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from ai.errors import CardInvalid

if TYPE_CHECKING:
    import torch

NUMPY = (
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
)
"""Numbers of a training's log."""
TORCHXRAYVISION = tuple(
    f"torchxrayvision.models.{name}" for name in ("DenseNet", "_DenseBlock", "_DenseLayer", "_Transition")
)
"""Published as whole modules."""
PICKLES_BEFORE_1_6 = 5
"""Magic number, version, system, objects and keys of storages lie one after the other; then the storages' bytes."""
LAYERS = ("_parameters", "_buffers", "_modules")
KEYS = ("network_weights", "state_dict")
"""Under which trainers put the weights beside their own state."""


class Shell:
    """What a pickled object was given; it does nothing with it."""

    def __init__(self, *given: object) -> None:
        self.given = given

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def tensors_of(content: bytes, name: str) -> "dict[str, torch.Tensor]":
    """The network's weights by name. Raises CardInvalid where the file holds what no checkpoint of these needs."""
    import torch

    allowed: list[Any] = [(Shell, one) for one in _names()]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.simplefilter("ignore")  # of classes whose source has changed: none of it is used
            found = torch.load(io.BytesIO(_without_sources(content)), map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        ValueError,
        LookupError,
        TypeError,
        EOFError,
        AttributeError,
    ) as error:
        raise CardInvalid(f"{name}: holds more than a network's weights, and is not opened: {_said(error)}") from error
    if isinstance(found, dict):
        found = next((found[key] for key in KEYS if key in found), found)
    tensors = dict(_inside(found, "") if isinstance(found, Shell) else _named(found))
    if not tensors:
        raise CardInvalid(f"{name}: holds no weights of a network")
    return tensors


def _without_sources(content: bytes) -> bytes:
    """A file of torch before 1.6 without the source code it keeps of each module's class, which nobody reads.

    There a class is first written as a persistent id ("module", class, file, source), which the restricted reader
    refuses; the class's name alone is left of it. Every other file stays as it is.
    """
    if content.startswith(b"PK"):
        return content
    file, made, copied = io.BytesIO(content), bytearray(), 0
    for _ in range(PICKLES_BEFORE_1_6):
        codes = [(code.name, given, place or 0) for code, given, place in pickletools.genops(file)]
        kept: dict[object, object] = {}
        for number, (name, given, place) in enumerate(codes):
            if name.endswith("BINPUT"):
                kept[given] = codes[number - 1][1]
            if name != "BINPERSID":
                continue
            mark = max(n for n in range(number) if codes[n][0] == "MARK")
            kind, word, _ = codes[mark + 1]
            if (kept.get(word) if kind.endswith("BINGET") else word) == "module":
                named = next((n for n in range(mark, number) if codes[n][0] == "GLOBAL"), mark)
                made += content[copied : codes[mark][2]] + content[codes[named][2] : codes[named + 2][2]]
                copied = place + 1
    return bytes(made) + content[copied:]


def _said(error: Exception) -> str:
    """torch's reason, without its advice to read the file in the way that runs whatever it holds."""
    return (str(error).partition("WeightsUnpickler error:")[2].strip() or str(error)).splitlines()[0]


@cache
def _names() -> tuple[str, ...]:
    from torch import nn

    modules = [one for one in vars(nn).values() if isinstance(one, type) and issubclass(one, nn.Module)]
    return (*NUMPY, *TORCHXRAYVISION, *(f"{one.__module__}.{one.__qualname__}" for one in modules))


def _named(found: object) -> "Iterator[tuple[str, torch.Tensor]]":
    import torch

    if isinstance(found, dict):
        yield from ((key, one) for key, one in found.items() if isinstance(key, str) and isinstance(one, torch.Tensor))


def _inside(shell: Shell, prefix: str) -> "Iterator[tuple[str, torch.Tensor]]":
    """The tensors of a module and of those in it, named as state_dict names them."""
    for kind in LAYERS:
        held = getattr(shell, kind, None)
        for key, one in _named(held):
            yield prefix + key, one
        if kind == "_modules" and isinstance(held, dict):
            for key, inner in held.items():
                if isinstance(inner, Shell):
                    yield from _inside(inner, f"{prefix}{key}.")
