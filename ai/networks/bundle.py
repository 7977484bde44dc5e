"""A MONAI bundle as it is: its own network, transforms and inferer, built from its configuration after a look at it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ai.errors import CardInvalid, ModelFailed, ModelRefused, OutOfMemory, shown
from ai.findings import Findings, Segment
from ai.networks.configured import judged, read_configuration
from ai.networks.declared import NetworkCard, WindowCard
from ai.networks.found import findings_of_values, findings_of_volumes, named
from ai.networks.heads import Finds
from ai.networks.opening import load_weights
from ai.networks.running import RunningNetwork, is_want_of_memory
from ai.networks.scripted import open_scripted
from ai.networks.weights import read_pinned
from ai.preparation.images import Values
from ai.suitability import refuse_unsuitable
from ai.together import refuse_other_places
from ai.volume import LONGEST_SIDE, Affine, Inputs, Volume

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ai.contract import ModelCard
    from ai.device import Device

INFERER_KEYS = frozenset({"_target_", "roi_size", "sw_batch_size", "overlap", "mode", "padding_mode", "progress"})
RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From LPS to RAS, in which MONAI places images."""


@dataclass(frozen=True)
class Placed:
    """A study after the bundle's preprocessing: what the network gets, and all that its postprocessing needs."""

    image: "torch.Tensor"
    items: Mapping[str, Any]
    source: Volume


class Bundle:
    """An opened bundle on its device: the three parts of a prediction."""

    def __init__(self, folder: Path, card: "ModelCard", network: NetworkCard, device: "Device") -> None:
        self._card, self._trusted = card, bool(network.trusted)
        needed = judged(read_configuration(folder), network)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of what MONAI is going to change
                self._build(needed, network, device)
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError, ImportError) as error:
            raise CardInvalid(f"{folder}: the bundle's configuration cannot be built: {error}") from error

    def _build(self, needed: Mapping[str, Any], network: NetworkCard, device: "Device") -> None:
        from monai.bundle.config_parser import ConfigParser

        parser: Any = ConfigParser(dict(needed))
        self._key, self._before = _image_key(parser), parser.get_parsed_content("preprocessing")
        self._after = parser.get_parsed_content("postprocessing") if "postprocessing" in parser else None
        inferer = {key: parser.get_parsed_content(f"inferer::{key}") for key in parser.get("inferer")}
        self._network = replace(network, window=_window(inferer, network.dimensions))
        self._running = RunningNetwork(_opened(network, parser), self._network, device)

    def load(self, inputs: Inputs) -> Placed:
        """The inputs after the bundle's own preprocessing, which begins where its files would have been read."""
        import torch
        from monai.data.meta_tensor import MetaTensor

        refuse_unsuitable(inputs, self._card)
        source = inputs.reference_volume
        affine = torch.from_numpy(_affine_ras(source, self._network.dimensions))
        chosen = {name: inputs.volumes[name] for name in self._network.inputs}
        arrays = [one.array for one in chosen.values()]
        if len({one.shape for one in arrays}) > 1:
            raise ModelFailed("the inputs lie on different grids, and a bundle takes them as channels of one image")
        refuse_other_places(chosen)
        # Axes as NIfTI and ITK have them: columns first.
        image = np.stack([one.astype(np.float32).transpose(2, 1, 0) for one in arrays])
        image = image[..., 0] if self._flat else image
        tensor = MetaTensor(image, affine=affine, meta={"original_affine": affine, "original_channel_dim": 0})
        items = _applied(self._before, {self._key: tensor}, "preprocessing")
        made = np.asarray(items[self._key], np.float32)
        return Placed(self._running.load(made[:, None] if self._flat else made), items, source)

    def compute(self, placed: Placed) -> tuple[Placed, Values]:
        return placed, self._running(placed.image)

    def finish(self, said: tuple[Placed, Values]) -> Findings:
        """What the bundle's postprocessing makes of the network's output, on the images' own grid."""
        import torch
        from monai.data.meta_tensor import MetaTensor

        placed, values = said
        if self._flat and self._network.heads[0].is_of_places:
            values = values[:, 0]
        # As MONAI's inferers give it, knowing of its image's transforms: Invertd leaves a plain tensor as it is.
        pred: Any = MetaTensor(torch.from_numpy(values))
        pred.copy_meta_from(placed.items[self._key])
        items: Mapping[str, Any] = {**placed.items, "pred": pred}
        if self._after is not None:
            items = _applied(self._after, items, "postprocessing")
        found = np.asarray(items["pred"])
        head = self._network.heads[0]
        if not head.is_of_places:
            return findings_of_values(np.atleast_1d(found.squeeze()), head)
        there = _on_grid(found[..., None] if self._flat else found, placed.source)
        if head.finds is Finds.SEGMENTS:
            self._check_reach(len(values), len(there))
            return Findings(segments=self._segments(there))
        return findings_of_volumes(named(there, head), self._card.reference, head)

    def close(self) -> None:
        self._running.close()

    @property
    def _flat(self) -> bool:
        return self._network.dimensions == 2

    def _check_reach(self, channels: int, masks: int) -> None:
        """Raises ModelFailed where labels decided between channels are others than the card's, whether or not they were
        found in these images: the first patient in whom one is must not be the one who shows it."""
        labels, count = max(channels - 1, 1), len(self._card.segments)
        if masks == 1 and not self._trusted and labels != count:
            raise ModelFailed(
                f"the bundle's network gives {channels} channels, which make labels up to {labels}, and its card "
                f"declares {count} segments: it needs one [[segment]] for each label, in their order"
            )

    def _segments(self, found: Values) -> tuple[Segment, ...]:
        """found: (1, slices, rows, columns) labels, or (channels, slices, rows, columns) masks."""
        count = len(self._card.segments)
        highest = count if len(found) == 1 else 1
        if not np.array_equal(found, np.rint(found).clip(0, highest)):
            raise ModelFailed(
                f"the bundle gave values from {found.min():g} to {found.max():g}, and not whole numbers from 0 to "
                f"{highest}: its postprocessing must end by deciding (AsDiscreted), and the card must declare a "
                "[[segment]] for each label"
            )
        if len(found) == 1:
            masks = [found[0] == number for number in range(1, count + 1)]
        elif len(found) == count:
            masks = [one > 0 for one in found]
        else:
            raise ModelFailed(f"the bundle gave {len(found)} masks, and its card declares {count} segments")
        cards = zip(self._card.segments, masks, strict=True)
        return tuple(Segment(one.key, np.ascontiguousarray(mask), self._card.reference) for one, mask in cards)


def _applied(steps: Any, items: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    """MONAI says which step failed, and keeps to itself why."""
    try:
        found: Mapping[str, Any] = steps(items)
    except RuntimeError as error:
        cause = error.__cause__ or error
        if is_want_of_memory(cause):
            raise OutOfMemory(f"the bundle's {what} needs more memory than there is: {cause}") from error
        raise ModelFailed(f"the bundle's {what} failed: {type(cause).__name__}: {cause} ({error})") from error
    return found


def _affine_ras(source: Volume, dimensions: int) -> Affine:
    """Where MONAI is told that the image lies: (column, row, slice) to RAS. A radiograph has a size at most."""
    if dimensions == 2:
        if len(source.array) > 1:
            raise ModelRefused("the bundle takes one image, and the input has several slices")
        slices, rows, columns = source.spacing_mm or (1.0, 1.0, 1.0)
        return np.diag([columns, rows, slices, 1.0])
    if source.affine_lps is None:
        raise ModelRefused("the bundle needs images with a place in the patient, and these have none")
    affine: Affine = RAS @ source.affine_lps[:, [2, 1, 0, 3]]
    return affine


def _on_grid(found: Values, source: Volume) -> Values:
    """(channels, columns, rows, slices) with our order of axes. Raises ModelFailed where it is not the images' grid."""
    grid = tuple(reversed(source.array.shape))
    if found.shape[1:] != grid:
        raise ModelFailed(
            f"the bundle's result has the shape {found.shape[1:]}, and the images {grid}: its postprocessing must "
            "invert its preprocessing (Invertd)"
        )
    turned: Values = found.transpose(0, 3, 2, 1)
    return turned


def _image_key(parser: Any) -> str:
    """The name under which preprocessing finds the image: that of its first step."""
    first = parser.get("preprocessing")["transforms"][0]["keys"]
    resolved = parser.get_parsed_content("preprocessing::transforms::0::keys") if isinstance(first, str) else first
    return str(resolved[0] if isinstance(resolved, list | tuple) else resolved)


def _window(inferer: Mapping[str, Any], dimensions: int) -> WindowCard | None:
    """The windows of the bundle's inferer; our own windows equal MONAI's, to which -1 is the whole axis."""
    if str(inferer.get("_target_", "")).endswith("SimpleInferer"):
        return None
    strange = set(inferer) - INFERER_KEYS
    if strange or inferer.get("padding_mode", "constant") != "constant":
        raise CardInvalid(f"the bundle's inferer sets {min(strange or {'padding_mode'})!r}, which is not supported")
    sizes = inferer["roi_size"]
    size = tuple(max(int(one), 0) for one in (sizes if isinstance(sizes, list | tuple) else [sizes] * dimensions))
    if len(size) != dimensions or max(size) > LONGEST_SIDE:
        raise CardInvalid(
            f"the bundle's inferer sets roi_size {shown(sizes)}, which is no size in {dimensions} dimensions"
        )
    blend = str(inferer.get("mode", "constant"))
    return WindowCard(size, float(inferer.get("overlap", 0.25)), blend, int(inferer.get("sw_batch_size", 1)))


def _opened(network: NetworkCard, parser: Any) -> "nn.Module":
    content = read_pinned(network.weights, network.sha256)
    match network.weights.suffix:
        case ".safetensors":
            built: nn.Module = parser.get_parsed_content("network_def")
            return load_weights(built, content, network.weights.name).eval()
        case ".ts":
            return open_scripted(content, network.weights.name).eval()
    raise CardInvalid(
        f"{network.weights}: a bundle's weights are opened as .safetensors or .ts; others hold pickles. Turn them into "
        "safetensors where they were trained (docs/extend/bring-a-model.md)"
    )
