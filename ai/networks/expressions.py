"""What the configuration of a MONAI bundle may have built and evaluated: names of a table, and arithmetic."""

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from ai.networks.arithmetic import CALLS, Computer, NotComputed

# fmt: off
TARGETS = frozenset({
    # networks
    "AttentionUnet", "BasicUNet", "BasicUNetPlusPlus", "DenseNet", "DenseNet121", "DenseNet169", "DenseNet201",
    "DenseNet264", "DynUNet", "EfficientNetBN", "FlexibleUNet", "HighResNet", "ResNet", "SegResNet", "SegResNetDS",
    "SegResNetDS2", "SEResNet50", "SwinUNETR", "UNETR", "UNet", "ViT", "VNet", "resnet10", "resnet18", "resnet34",
    "resnet50",
    # inferers
    "SimpleInferer", "SlidingWindowInferer", "SlidingWindowInfererAdapt",
    # transforms of one or several arrays, which read and write no file and call nothing they are given
    "Activationsd", "AsDiscreted", "BorderPadd", "CastToTyped", "CenterSpatialCropd",
    "Compose", "ConcatItemsd", "CopyItemsd", "CropForegroundd", "DeleteItemsd", "DivisiblePadd", "EnsureChannelFirstd",
    "EnsureTyped", "FillHolesd", "Flipd", "GaussianSmoothd", "HistogramNormalized", "Identityd", "Invertd",
    "KeepLargestConnectedComponentd", "MaskIntensityd", "MedianSmoothd", "NormalizeIntensityd", "Orientationd",
    "RemoveSmallObjectsd", "RepeatChanneld", "Resized", "ResizeWithPadOrCropd", "ScaleIntensityRanged",
    "ScaleIntensityRangePercentilesd", "ScaleIntensityd", "SelectItemsd", "Spacingd", "SpatialCropd", "SpatialPadd",
    "SqueezeDimd", "ThresholdIntensityd", "ToDeviced", "ToTensord", "Transposed",
})
"""Names of MONAI; a path to a class is allowed where it lies in monai and ends in one of them."""
VALUES = frozenset({
    "torch.float32", "torch.float16", "torch.float", "torch.half", "torch.bfloat16", "torch.int32", "torch.long",
    "torch.uint8", "torch.bool", "np.float32", "np.uint8", "np.int32", "math.pi", "None", "True", "False",
})
# fmt: on
NODES = (
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.Load,
    ast.UnaryOp,
    ast.USub,
    ast.UAdd,
    ast.Not,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.Compare,
    ast.Eq,
    ast.NotEq,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.IfExp,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.Subscript,
    ast.Slice,
)  # fmt: skip
"""Arithmetic, comparison and choice: what these are made of can neither reach nor change anything. How much they make
is told by ai.networks.arithmetic."""
COMPUTING = (ast.BinOp, ast.Call, ast.Subscript)
"""What may make more than is written: allowed where it is known, within bounds, what it comes to."""
NAME = "_reference_"
Place = tuple[str, ...]
"""Of something in a configuration, by its keys from the top."""
REFERENCE = re.compile(r"@(?:::)*(\w+(?:::\w+)*)", re.ASCII)
KEY = re.compile(r"\w+", re.ASCII)
"""MONAI writes the keys around an expression into it, where it refers to something by the way there (@::name)."""


def references(text: str) -> Iterator[str]:
    """Ids that a text of the configuration refers to."""
    return (found.group(1) for found in REFERENCE.finditer(_as_read(text)))


def _as_read(text: str) -> str:
    """A text as MONAI reads it, to which # is ::, as it was in its first years, and begins no comment."""
    return text.replace("#", "::")


def beyond(configuration: Mapping[str, Any], where: str) -> Iterator[str]:
    """Every target and expression of a whole configuration that is not allowed, with its place."""
    computer = Computer(configuration, _parsed)
    yield from _beyond(configuration, where, (), computer)


def _beyond(value: object, where: str, place: Place, computer: Computer) -> Iterator[str]:
    if isinstance(value, dict):
        if "_target_" in value:
            yield from _of_target(value["_target_"], where)
        if value.get("_mode_", "default") not in ("default", "callable"):
            yield f"{where}: _mode_ {value['_mode_']!r} is not allowed"
        for key, inner in value.items():
            if not KEY.fullmatch(key):
                yield f"{where}: the key {key!r} is not allowed: letters, digits and _ make a key"
            yield from _beyond(inner, f"{where}::{key}", (*place, key), computer)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _beyond(inner, f"{where}::{number}", (*place, str(number)), computer)
    elif isinstance(value, str):
        yield from _of_text(_as_read(value), where, place, computer)


def _of_target(target: object, where: str) -> Iterator[str]:
    name = target.rpartition(".") if isinstance(target, str) else ("", "", "")
    if name[2] not in TARGETS or (name[0] and name[0].split(".")[0] != "monai"):
        yield f"{where}: the bundle builds {target!r}, which is not among what a bundle may build"


def _of_text(text: str, where: str, place: Place, computer: Computer) -> Iterator[str]:
    if text.startswith("%"):
        yield f"{where}: {text!r} takes in another file; put its content here"
    if not text.startswith("$"):
        return
    try:
        tree, names = _parsed(text, place)
    except NotComputed:
        yield f"{where}: the expression {text!r} is not allowed"
        return
    if not _is_harmless(tree, names):
        yield f"{where}: the expression {text!r} is not allowed: a bundle may compute with numbers, and no more"
    elif any(isinstance(one, COMPUTING) for one in ast.walk(tree)):
        try:
            computer.of(place)
        except NotComputed as unknown:
            yield f"{where}: the expression {text!r} is not allowed: {unknown}, and a bundle may compute with numbers"


def _parsed(text: str, place: Place) -> tuple[ast.expr, Mapping[str, Place]]:
    """The tree of an expression or reference at a place, and the places of what its names refer to."""
    numbers, names = count(), {}

    def named(found: re.Match[str]) -> str:
        name = f"{NAME}{next(numbers)}"
        up = found.group(0).count("::", 0, found.start(1) - found.start(0))
        names[name] = (*place[: len(place) - up], *found.group(1).split("::")) if up else tuple(found[1].split("::"))
        return name

    try:
        return ast.parse(REFERENCE.sub(named, _as_read(text).removeprefix("$")).strip(), mode="eval").body, names
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotComputed(f"{text!r} is no expression") from error


def _is_harmless(node: ast.AST, names: Mapping[str, Place]) -> bool:
    if isinstance(node, ast.Name | ast.Attribute):
        return ast.unparse(node) in VALUES or (isinstance(node, ast.Name) and node.id in names)
    if isinstance(node, ast.Call):
        called = isinstance(node.func, ast.Name) and node.func.id in CALLS and not node.keywords
        return called and all(_is_harmless(one, names) for one in node.args)
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        # MONAI puts text with quotes in place of a reference, which would end the string: what follows would be code.
        return not any(word in str(node.value) for word in ("@", NAME))
    return isinstance(node, NODES) and all(_is_harmless(one, names) for one in ast.iter_child_nodes(node))
