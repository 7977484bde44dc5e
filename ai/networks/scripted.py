"""Opens a TorchScript archive after its code was looked at: operations on tensors alone, no files, no Python."""

import re
import zipfile
from itertools import accumulate
from typing import TYPE_CHECKING

from ai.errors import CardInvalid
from ai.networks.archive import read_checked

if TYPE_CHECKING:
    from torch import nn

NAMESPACES = ("prim", "quantized", "aten")
"""Operations outside torch itself are called as ops.NAMESPACE.name."""
REACHING = ("from_file", "save")
"""Operations of torch itself that read or write a file they are given by name."""

# Torch reads a name with blanks around its dots, under another name, or as the text of a getattr: judged are words.
_TEXT = re.compile(r"""(?P<long>\"{3}|'{3})|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'""")
_PLAIN = re.compile(r"""["']\w+["']""")
_SHOWN = re.compile(r"""["']\w*["']""")
_FILES = re.compile(rf"\b(?:{'|'.join(REACHING)}|rpc_\w+|PythonOp)\b")
_OURS = re.compile(rf"""\bops(?:\.(?:{"|".join(NAMESPACES)})\.\w| [:=] )|\(ops\)\.\w+\(|getattr\(ops, "\d+"\)""")
"""Operations that may be called, and a network's own module that is called ops."""
_OPS = re.compile(r"(?<![\w.])ops\b[\w.]*")
_BRACKET = re.compile(r"[()\[\]]")
DEEPEST = 1000
"""Brackets within each other: torch reads them by recursion, which some ten thousand let run out of stack."""
_GETATTR = re.compile(r"""\bgetattr\b(?!\([\w.]+, "\w+"\))""")


def open_scripted(content: bytes, name: str) -> "nn.Module":
    """The network, on the processor. Raises CardInvalid where its code does more than compute.

    torch.jit.load reads with torch's own reader, which makes tensors and script classes and runs no Python.
    """
    import warnings

    import torch

    try:
        archive, files = read_checked(content, name)
        for member, code in files.items():
            if member.lower().endswith(".py"):  # torch finds files in whatever case
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
    shown = _TEXT.sub(_without_text, code)
    files = _FILES.search(shown)
    if files:
        raise CardInvalid(f"{where}: calls {files.group()}, which reaches beyond tensors; it is not opened")
    strange = _OPS.search(_OURS.sub("", shown))
    if strange:
        raise CardInvalid(f"{where}: calls {strange.group()!r}, which is not part of torch; it is not opened")
    if "..." in shown or _GETATTR.search(shown) or any(one in _SHOWN.sub("", shown) for one in "\"'\\"):
        raise CardInvalid(f"{where}: is not written as torch writes it, and may hide what it calls; it is not opened")
    if _depth(shown) > DEEPEST:
        raise CardInvalid(f"{where}: has brackets more than {DEEPEST} deep in each other, as in no network")


def _depth(code: str) -> int:
    """How many brackets are open at most."""
    return max(accumulate(1 if one.group() in "([" else -1 for one in _BRACKET.finditer(code)), default=0)


def _without_text(found: "re.Match[str]") -> str:
    """What is judged of a text in the code: a plain word, which a getattr may name, and no other."""
    if found["long"]:
        return "..."
    return found.group() if _PLAIN.fullmatch(found.group()) else '""'
