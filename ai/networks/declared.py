"""The tables [network] of a card: which file a model's network is, how it is run, and what its channels mean."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath

from ai.contract import ModelCard
from ai.errors import CardInvalid, shown
from ai.networks.architectures import check_architecture
from ai.networks.explaining import By, Explanation, check_explanation, read_explanation
from ai.networks.flips import Flip, axes_of, check_sides
from ai.networks.heads import Activation, Finds, HeadCard, read_head
from ai.tables import TableReader, read_tables
from ai.volume import LONGEST_SIDE

SHA256 = re.compile(r"[0-9a-f]{64}")


class Kind(str, Enum):
    """What the network's file is."""

    SAFETENSORS = "safetensors"
    """Weights alone; the card names the architecture and its parameters."""
    TORCHSCRIPT = "torchscript"
    EXPORT = "export"
    """torch.export, a .pt2 file."""
    ONNX = "onnx"
    """Computed by ONNX Runtime, on the processor."""
    TORCHXRAYVISION = "torchxrayvision"
    """A DenseNet-121 of radiographs as torchxrayvision publishes it."""
    NNUNET = "nnunet"
    """nnU-Net v2: the folder of the card is the trained model's, with plans.json and dataset.json."""
    BUNDLE = "bundle"
    """A MONAI bundle: the folder of the card is the bundle's, its configs say how the network is built and run."""


BUILT = frozenset({Kind.SAFETENSORS, Kind.TORCHXRAYVISION})
"""Networks of an architecture that is built here."""


class Precision(str, Enum):
    """In what the network computes; on a CPU always in fp32, whose results do not depend on the processor."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


@dataclass(frozen=True)
class WindowCard:
    """[network.window]: voxels along (slices, rows, columns), or (rows, columns). overlap: from 0 to below 1.

    size: of a bundle's window, 0 where it takes the whole axis. even: as nnU-Net cuts.
    """

    size: tuple[int, ...]
    overlap: float
    blend: str
    batch: int
    even: bool = False


@dataclass(frozen=True)
class NetworkCard:
    """[network]. inputs: the model's inputs in the order of the network's channels.

    dimensions: 2 where the network takes slices. window: None where it takes an image whole. heads: what its outputs
    are, in their order. trusted: SHA-256 of a bundle's configs/inference file that may build and evaluate whatever it
    names: the site vouches for it, by trusted_by. configuration: of nnU-Net's plans.
    """

    kind: Kind
    weights: Path
    sha256: str
    architecture: str
    parameters: Mapping[str, object]
    window: WindowCard | None
    dimensions: int
    inputs: tuple[str, ...]
    heads: tuple[HeadCard, ...]
    precision: Precision
    channels_last: bool
    compile: bool
    trusted: str = ""
    trusted_by: str = ""
    configuration: str = ""
    flips: tuple[Flip, ...] = ()
    """Directions in which the image is mirrored and asked about again; the mean of all answers counts."""
    disagreement: str = ""
    """The card's map (of segments) or measurement (of classifications) that tells how far these answers differ."""
    explanation: Explanation | None = None

    @property
    def in_outputs(self) -> bool:
        """It is asked for all of its outputs at once, not for one array."""
        return len(self.heads) > 1 or self.finds is Finds.DETECTIONS

    @property
    def finds(self) -> Finds:
        """What the first output finds; most networks have no other."""
        return self.heads[0].finds

    @property
    def channels(self) -> tuple[str, ...]:
        """Of the first output."""
        return self.heads[0].channels

    @property
    def activation(self) -> Activation:
        """Of the first output."""
        return self.heads[0].activation


def read_network(card: Path, model: ModelCard) -> NetworkCard:
    """The [network] of a card. Raises CardInvalid, naming the key and the mend."""
    top = read_tables(card)
    if "network" not in top:
        raise CardInvalid(f"{card}: a model without code needs a table [network], which names its file")
    table = TableReader({"network": top["network"]}, str(card)).table("network")
    return network_of(table, model, card.parent, f"{card} [network]")


def network_of(table: TableReader, model: ModelCard, folder: Path, where: str) -> NetworkCard:
    """A network's table. folder: the model's, in which its files lie. Raises CardInvalid."""
    table.needs(kind=str, weights=str, sha256=str, **({} if table.has("output") else {"finds": str}))
    architecture, parameters = table.take("architecture", str, ""), table.table("parameters").rest()
    window = table.table("window") if table.has("window") else None
    explain = table.table("explain") if table.has("explain") else None
    dimensions = table.take("dimensions", int, 3)
    if dimensions not in (2, 3):
        raise CardInvalid(f"{where}: dimensions is 2 or 3, found {dimensions}")
    found = NetworkCard(
        kind=table.choice("kind", Kind),
        weights=_inside(folder, table.take("weights", str), where),
        sha256=table.take("sha256", str),
        architecture=architecture,
        parameters=parameters,
        window=None if window is None else _window(window),
        dimensions=dimensions,
        inputs=table.texts("inputs") or tuple(one.name for one in model.inputs),
        heads=_heads(table, model, dimensions, where),
        precision=table.choice("precision", Precision, Precision.FP32),
        channels_last=table.take("channels_last", bool, False),
        compile=table.take("compile", bool, False),
        trusted=table.take("trusted", str, ""),
        trusted_by=table.take("trusted_by", str, ""),
        configuration=table.take("configuration", str, ""),
        flips=_flips(table.texts("flips"), where),
        disagreement=table.take("disagreement", str, ""),
        explanation=None if explain is None else read_explanation(explain, f"{where} [explain]"),
    )
    table.finish()
    _check(found, model, where)
    _check_flips(found, model, where)
    _check_explanation(found, model, f"{where} [explain]")
    return found


def _heads(table: TableReader, model: ModelCard, dimensions: int, where: str) -> tuple[HeadCard, ...]:
    """Of [network] itself, or of each of its tables [[network.output]]."""
    if not table.has("output"):
        return (read_head(table, model, dimensions, where),)
    found = []
    for number, one in enumerate(table.tables("output"), 1):
        found.append(read_head(one, model, dimensions, f"{where} [[output]] {number}"))
        one.finish()
    if not found:
        raise CardInvalid(f"{where}: output must be tables [[network.output]], one for each output in their order")
    return tuple(found)


def _flips(words: tuple[str, ...], where: str) -> tuple[Flip, ...]:
    known = {one.value: one for one in Flip}
    strange = [one for one in words if one not in known]
    if strange or len(set(words)) < len(words):
        raise CardInvalid(f"{where}: flips are of {', '.join(known)}, each once; found {list(words)}")
    return tuple(known[one] for one in words)


def _check_flips(network: NetworkCard, model: ModelCard, where: str) -> None:
    if not network.flips:
        if network.disagreement:
            raise CardInvalid(f"{where}: disagreement is that of flips, and there are none")
        return
    several = network.kind is Kind.BUNDLE or len(network.heads) > 1
    if several or network.finds not in (Finds.SEGMENTS, Finds.CLASSIFICATIONS):
        raise CardInvalid(
            f"{where}: flips are for networks with one output, of segments or classifications, and no bundles"
        )
    axes_of(network.flips, model.prepare)
    check_sides(network.flips, model, where)
    if network.disagreement and network.finds is Finds.SEGMENTS:
        model.map(network.disagreement)
    elif network.disagreement:
        model.measurement(network.disagreement)


def _check_explanation(network: NetworkCard, model: ModelCard, where: str) -> None:
    if network.explanation is None:
        return
    several = network.kind is Kind.BUNDLE or len(network.heads) > 1
    if several or network.finds is not Finds.CLASSIFICATIONS or network.flips:
        raise CardInvalid(
            f"{where}: is for networks with one output, of classifications: no bundles, and none with flips"
        )
    if network.explanation.by is By.GRAD_CAM and network.kind not in BUILT:
        raise CardInvalid(
            f"{where}: {network.kind.value} has no layers to name; take by = 'occlusion', or safetensors with the name "
            "of the architecture"
        )
    check_explanation(network.explanation, network.channels, model, where)


def _inside(folder: Path, name: str, where: str) -> Path:
    """A file of the model's own folder, by a plain relative path."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise CardInvalid(f"{where}: weights must be a file in the model's own folder, found {name!r}")
    return folder / path


def _window(table: TableReader) -> WindowCard:
    sizes = table.take("size", list)
    if len(sizes) not in (2, 3) or not all(type(one) is int and 0 < one <= LONGEST_SIDE for one in sizes):
        raise CardInvalid(
            f"{table.where}: size must be two or three whole numbers from 1 to {LONGEST_SIDE}, found {shown(sizes)}"
        )
    found = WindowCard(
        size=tuple(sizes),
        overlap=table.take("overlap", float, 0.25),
        blend=table.take("blend", str, "gaussian"),
        batch=table.take("batch", int, 1),
    )
    table.finish()
    if found.blend not in ("gaussian", "constant") or not 0 <= found.overlap < 1 or found.batch < 1:
        raise CardInvalid(
            f"{table.where}: blend is gaussian or constant, overlap from 0 to below 1, batch at least 1; "
            f"found {found.blend!r}, {found.overlap}, {found.batch}"
        )
    return found


def _check(network: NetworkCard, model: ModelCard, where: str) -> None:
    if not SHA256.fullmatch(network.sha256):
        raise CardInvalid(f"{where}: sha256 pins the weights: 64 hexadecimal digits in lower case, as sha256sum says")
    _check_kind(network, model, where)
    if network.window and len(network.window.size) != network.dimensions:
        raise CardInvalid(f"{where}: window.size has as many numbers as the network has dimensions")
    unknown = set(network.inputs) - {one.name for one in model.inputs}
    if unknown:
        raise CardInvalid(f"{where}: inputs names {min(unknown)!r}, and the card has no such [[input]]")
    _check_heads(network, where)


def _check_heads(network: NetworkCard, where: str) -> None:
    """What goes with the number of outputs, and with what they are."""
    first = network.heads[0]
    if network.window and not (len(network.heads) == 1 and (first.is_of_places or first.most_overlap is not None)):
        raise CardInvalid(
            f"{where}: windows are for a network with one output, which says something of every voxel, or finds boxes "
            "and has most_overlap, above which those of two windows are one; remove [network.window], or give it"
        )
    kinds = [one.finds for one in network.heads]
    if len(kinds) > 1 and network.kind in (Kind.BUNDLE, Kind.NNUNET, Kind.TORCHXRAYVISION):
        raise CardInvalid(
            f"{where}: of a {network.kind.value} one output is taken; remove the other [[network.output]]"
        )
    if kinds.count(Finds.SEGMENTS) > 1 or kinds.count(Finds.DETECTIONS) > 1:
        raise CardInvalid(f"{where}: segments, and detections, may come of one output only")


def _check_kind(network: NetworkCard, model: ModelCard, where: str) -> None:
    """What goes with the kind of file that the network is."""
    if network.kind is Kind.BUNDLE and (model.prepare or model.finish or network.window):
        raise CardInvalid(f"{where}: a bundle prepares, cuts and finishes by itself; remove prepare, finish and window")
    if network.kind is Kind.BUNDLE and network.finds in (Finds.DETECTIONS, Finds.PEAKS):
        raise CardInvalid(f"{where}: of a bundle, neither detections nor peaks are taken")
    if (network.kind is Kind.NNUNET) != bool(network.configuration):
        raise CardInvalid(
            f"{where}: configuration names one of nnU-Net's plans, such as 3d_fullres, and goes with nnunet"
        )
    if network.kind is Kind.NNUNET and network.window:
        raise CardInvalid(f"{where}: nnU-Net's plan sets the windows; remove [network.window]")
    if network.kind is Kind.SAFETENSORS:
        check_architecture(network.architecture, network.parameters, where)
    elif network.architecture or network.parameters:
        raise CardInvalid(f"{where}: {network.kind.value} holds its own architecture; remove architecture, parameters")
