"""Opens a TorchScript archive after its code was looked at: operations on tensors alone, no files, no Python."""

import re
import zipfile
from typing import TYPE_CHECKING

from ai.errors import CardInvalid
from ai.networks.archive import read_checked

if TYPE_CHECKING:
    from torch import nn

NAMESPACES = frozenset({"prim", "quantized", "aten"})
"""Operations outside torch itself are called as ops.NAMESPACE.name."""
_OPS = re.compile(r"\bops\.(\w+)\.")
_FILES = re.compile(r"\btorch\.(from_file|save|load|_load\w*)\b|\bprim\.PythonOp\b")


def open_scripted(content: bytes, name: str) -> "nn.Module":
    """The network, on the processor. Raises CardInvalid where its code does more than compute.

    torch.jit.load reads with torch's own reader, which makes tensors and script classes and runs no Python.
    """
    import warnings

    import torch

    try:
        archive, files = read_checked(content, name)
        for member, code in files.items():
            if member.endswith(".py"):
                _check(code.decode("utf-8"), f"{name}: {member}")
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # torch prefers torch.export; the field's models are these
            network: nn.Module = torch.jit.load(archive, map_location="cpu")  # type: ignore[no-untyped-call]
    except (zipfile.BadZipFile, RuntimeError, UnicodeDecodeError, ValueError) as error:
        raise CardInvalid(f"{name}: is no TorchScript archive that this torch can open: {error}") from error
    return network


def _check(code: str, where: str) -> None:
    files = _FILES.search(code)
    if files:
        raise CardInvalid(f"{where}: calls {files.group(0)}, which reaches beyond tensors; it is not opened")
    strange = set(_OPS.findall(code)) - NAMESPACES
    if strange:
        raise CardInvalid(
            f"{where}: calls operations of {min(strange)!r}, which are not part of torch; it is not opened"
        )
