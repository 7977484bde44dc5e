"""Runs an opened network on its device, within the memory that there is: smaller batches first, then the processor."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ai.device import Device
from ai.errors import ModelFailed, OutOfMemory
from ai.networks.declared import NetworkCard, Precision
from ai.networks.heads import Activation
from ai.networks.parts import Outputs, Part, padded, parts_of
from ai.preparation.images import Values
from ai.window import Window, predict_in_windows

if TYPE_CHECKING:
    import torch
    from torch import nn

    Mapped = Callable[[torch.Tensor, torch.Tensor, Sequence[int]], torch.Tensor]

Said = TypeVar("Said")
CPU = Device()
SAID_OF_EACH_SLICE = "the network says one thing of each slice, and the input has several: take one image"
_WORDS_OF_NO_MEMORY = (
    "not enough memory",
    "out of memory",
    "can't allocate memory",
    "alloc_cpu",
    "status_alloc_failed",
)
"""What torch says in a plain RuntimeError where the processor's memory ends, or that of cuDNN and cuBLAS on a GPU."""


class RunningNetwork:
    """A network on its device. What a study needed is kept: the next one begins with the batch that worked.

    A study that did not fit on the GPU is computed on the processor; the next one begins on the GPU again.
    """

    def __init__(self, network: "nn.Module", card: NetworkCard, device: Device) -> None:
        self._card, self._device = card, device
        self._network = network
        self._call: Callable[[torch.Tensor], object] = network
        self._on: Device | None = CPU
        self._batch = _batch(card)

    def load(self, image: Values) -> "torch.Tensor":
        """Host memory for an image, pinned where a GPU will fetch it while it computes another."""
        import torch

        tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
        return tensor.pin_memory() if self._device.kind == "cuda" else tensor

    def __call__(self, image: "torch.Tensor") -> Values:
        """What the network says of an image: float32 (channels, …). image: (channels, slices, rows, columns).

        Raises OutOfMemory where not even one window fits on the processor, ModelFailed where values are not numbers.
        """
        return self._within_memory(lambda device, batch: self._predict(image, device, batch, self._whole))

    def each(self, images: "torch.Tensor") -> Values:
        """What a classifier says of each of several images: float32 (images, channels). images: (images, channels, …).

        Raises as a call does.
        """
        return self._within_memory(lambda device, batch: self._predict(images, device, batch, self._one_by_one))

    def outputs(self, image: "torch.Tensor") -> tuple[Part, ...]:
        """What every output says of each part of an image that the network is given at a time.

        As the network gives them, without activation: one with a batch's axis has it. Raises as a call does.
        """
        return tuple(
            Part((z.start, y.start, x.start), self._within_memory(partial(self._every_output, image[:, z, y, x])))
            for z, y, x in parts_of((image.shape[1], image.shape[2], image.shape[3]), self._card)
        )

    def with_gradients(self, image: "torch.Tensor", layer: str, channel: int, mapped: "Mapped") -> Values:
        """A map of what a layer's activations have to do with a channel of a classifier's output, before activation.

        mapped: makes it of the activations, their gradients and the size of the image. Only what comes after the layer
        is kept for the gradients, and given back with the map.
        """
        return self._within_memory(lambda device, _batch: self._derive(image, device, layer, channel, mapped))

    def _within_memory(self, compute: "Callable[[Device, int], Said]") -> Said:
        import torch

        settle(self._device)
        for device, batch in self._rungs():
            try:
                self._move(device)
                said = compute(device, batch)
            except (RuntimeError, MemoryError, torch.jit.Error) as error:
                if not is_want_of_memory(error):
                    raise ModelFailed(f"the network failed: {_reason(error)}") from error
            else:
                if device == self._device:
                    self._batch = batch
                return said
            _give_back(device)  # only here: inside `except` the traceback still holds what was computed so far
        raise OutOfMemory("the network does not fit in the memory of this machine, even with windows one by one")

    def close(self) -> None:
        """Give the device's memory back."""
        self._network = self._call = None  # type: ignore[assignment]
        _give_back(self._device)

    def _rungs(self) -> Iterator[tuple[Device, int]]:
        batch = self._batch
        while batch > 1:
            yield self._device, batch
            batch //= 2
        yield self._device, 1
        if self._device.kind != CPU.kind:
            yield replace(CPU, threads=self._device.threads), 1

    def _predict(
        self, given: "torch.Tensor", device: Device, batch: int, say: "Callable[[torch.Tensor, int], torch.Tensor]"
    ) -> Values:
        with self._predicting(device):
            return _numbers(say(given.to(_torch_device(device), non_blocking=True), batch))

    def _every_output(self, part: "torch.Tensor", device: Device, _batch: int) -> Outputs:
        taken = padded(part if self._card.dimensions == 3 else part[:, 0], self._card)
        with self._predicting(device):
            said = self._every(taken[None].to(_torch_device(device), non_blocking=True))
            return tuple(_numbers(_tensor(one).float()) for one in said)

    @contextmanager
    def _predicting(self, device: Device) -> Iterator[None]:
        import torch

        with ExitStack() as entered:
            entered.enter_context(torch.inference_mode())
            if device.kind == "cuda" and self._card.precision is not Precision.FP32:
                halves = {Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}
                entered.enter_context(torch.autocast("cuda", halves[self._card.precision]))
            yield

    def _derive(self, image: "torch.Tensor", device: Device, layer: str, channel: int, mapped: "Mapped") -> Values:
        import torch

        seen: list[torch.Tensor] = []

        def kept(_layer: "nn.Module", _given: object, said: object) -> "torch.Tensor":
            if seen or not isinstance(said, torch.Tensor):
                raise ModelFailed(f"[network.explain]: layer {layer!r} gives no one tensor, once: name another")
            seen.append(said.detach().requires_grad_())
            return seen[0].clone()  # a following layer may compute in place

        with torch.inference_mode(False), torch.enable_grad():
            hook = self._network.requires_grad_(False).get_submodule(layer).register_forward_hook(kept)
            try:
                there = image.clone().to(_torch_device(device))
                said = self._one((there if self._card.dimensions == 3 else there[:, 0])[None], self._network)
            finally:
                hook.remove()
            if not seen or not said.requires_grad:
                raise ModelFailed(f"[network.explain]: the answer does not come of layer {layer!r}: name another")
            (gradients,) = torch.autograd.grad(said[0, channel], seen)
        size = image.shape[1:] if self._card.dimensions == 3 else image.shape[2:]
        found = _numbers(mapped(seen[0].detach(), gradients, size))
        return found.reshape(tuple(image.shape[1:]))

    def _whole(self, image: "torch.Tensor", batch: int) -> "torch.Tensor":
        return self._activated(self._blended(image, batch).float(), 0)

    def _one_by_one(self, images: "torch.Tensor", batch: int) -> "torch.Tensor":
        import torch

        taken = images if self._card.dimensions == 3 else images[:, :, 0]
        said = torch.cat([self._one(torch.stack(part)) for part in _groups(list(taken.unbind()), batch)])
        return self._activated(said.float(), 1)

    def _blended(self, image: "torch.Tensor", batch: int) -> "torch.Tensor":
        """The network's output for the whole image, whether it takes windows, slices or all at once."""
        import torch

        slices = [image] if self._card.dimensions == 3 else list(image.unbind(1))
        if self._card.window is not None:
            cut = self._card.window
            window = Window(cut.size, cut.overlap, cut.blend, batch, cut.even)
            said = [predict_in_windows(self._one, one, window) for one in slices]
        else:
            said = [one for part in _groups(slices, batch) for one in self._one(torch.stack(part))]
        if self._card.dimensions == 3:
            return said[0]
        if said[0].ndim == 3:
            return torch.stack(said, dim=1)
        if len(said) > 1:
            raise ModelFailed(SAID_OF_EACH_SLICE)
        return said[0]

    def _activated(self, said: "torch.Tensor", channels: int) -> "torch.Tensor":
        match self._card.activation:
            case Activation.SOFTMAX:
                return said.softmax(dim=channels)
            case Activation.SIGMOID:
                return said.sigmoid()
            case Activation.NONE:
                return said

    def _one(self, batch: "torch.Tensor", network: "nn.Module | None" = None) -> "torch.Tensor":
        """One call of the network. A list of outputs (deep supervision) begins with the full one."""
        said = _tensor(self._every(batch, network)[0])
        if said.ndim < 2 or len(said) != len(batch) or said.is_complex():
            raise ModelFailed(
                f"the network gave {tuple(said.shape)} ({said.dtype}) for {tuple(batch.shape)}: the first axis must be "
                "the batch's and the second the channels', of real numbers"
            )
        return said

    def _every(self, batch: "torch.Tensor", network: "nn.Module | None" = None) -> list[object]:
        """Every output of one call, in their order."""
        import torch

        if self._card.channels_last and batch.ndim in (4, 5):
            batch = batch.to(memory_format=torch.channels_last if batch.ndim == 4 else torch.channels_last_3d)
        said = (network or self._call)(batch)
        several = list(said.values()) if isinstance(said, dict) else said if isinstance(said, list | tuple) else ()
        return list(several) or [said]

    def _move(self, device: Device) -> None:
        """Bring the network to a device. One that memory ended for on its way lies on neither, and is moved again."""
        import torch

        if device == self._on:
            return
        self._on = None
        self._network = self._network.to(_torch_device(device))
        compiled = self._card.compile and device.kind == "cuda"
        self._call = torch.compile(self._network) if compiled else self._network
        self._on = device


def _batch(card: NetworkCard) -> int:
    if card.window is not None:
        return card.window.batch
    return 1 if card.explanation is None else card.explanation.batch


def _tensor(said: object) -> "torch.Tensor":
    import torch

    if not isinstance(said, torch.Tensor):
        raise ModelFailed(f"the network gave a {type(said).__name__}, where a tensor was expected")
    return said


def _numbers(said: "torch.Tensor") -> Values:
    import torch

    if not bool(torch.isfinite(said).all()):
        raise ModelFailed("the network gave values that are not numbers: nothing of them becomes a result")
    found: Values = said.cpu().numpy()
    return found


def _groups(many: "list[torch.Tensor]", count: int) -> "Iterator[list[torch.Tensor]]":
    return (many[first : first + count] for first in range(0, len(many), count))


def import_torch() -> None:
    """Load what running a network needs, before the first study waits for it."""
    import torch  # noqa: F401


def is_want_of_memory(error: BaseException) -> bool:
    """Whether torch or numpy could not have the memory they asked for."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and any(one in words for one in _WORDS_OF_NO_MEMORY)


def _torch_device(device: Device) -> "torch.device":
    import torch

    return torch.device("cpu") if device.kind == "cpu" else torch.device(device.kind, device.index)


def settle(device: Device) -> None:
    """Same threads, same order of sums: on a processor the same input gives the same bits, whatever other models
    of this process have set. A network is built so, too, or its tensors would be of their kind or on their device."""
    import torch

    torch.set_num_threads(device.threads)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.manual_seed(0)


def _give_back(device: Device) -> None:
    import torch

    if device.kind == "cuda":
        torch.cuda.empty_cache()


def _reason(error: BaseException) -> str:
    """The line that says why: the first, or of TorchScript the last, after a traceback of its own."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1] if "TorchScript interpreter" in lines[0] else lines[0]
