"""Opens a torch.export archive (.pt2) after everything in it that could run code was looked at.

torch.export.load unpickles what the archive marks so, falls back to unpickling sample inputs, evaluates expressions of
sizes, calls any function of torch that a node names, writes names into the Python code that it makes of the graph, and
loads compiled libraries: none of these is let in.
"""

import io
import json
import pickle  # its error alone: nothing is unpickled here
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ai.errors import CardInvalid
from ai.networks.archive import read_checked
from ai.networks.scripted import REACHING

if TYPE_CHECKING:
    from torch import nn

_ROOT = r"[^/]+/"
MEMBERS = re.compile(
    _ROOT
    + r"(data/weights/(weight_\d+|[^/]+_weights_config\.json)|data/constants/(tensor_\d+|[^/]+_constants_config\.json)"
    r"|data/sample_inputs/[^/]+\.pt|models/[^/]+\.json|archive_format|archive_version|byteorder|\.data/[a-z_]+|version)"
)
"""Weights and constants as raw bytes, graphs and sizes as JSON; no compiled code, custom class or extra file."""
TARGETS = re.compile(
    rf"torch\.ops\.aten\.(?!(?:{'|'.join(REACHING)})\.)\w+\.\w+"
    r"|_operator\.(add|sub|mul|floordiv|mod|getitem|eq|ne|lt|le|gt|ge|neg)|torch\.sym_\w+"
)
# fmt: off
WORDS = frozenset({
    "Symbol", "Integer", "Add", "Mul", "Pow", "FloorDiv", "CleanDiv", "Mod", "Max", "Min", "Eq", "Ne", "positive",
    "integer", "True", "False", "L", "size", "and", "or", "not",
})
# fmt: on
"""What an expression of sizes may consist of, beside symbols (s0, u3), names of inputs in quotes, and numbers."""
SPECS = (None, "builtins.tuple", "builtins.list", "builtins.dict")
"""What a network may take and give its tensors in; torch imports what others name."""
TEXT = re.compile(r"'\w+'", re.ASCII)
WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
SYMBOL = re.compile(r"[su]\d+", re.ASCII)
BETWEEN = re.compile(r"[\w\s()\[\],.+\-*/%<>=!]*", re.ASCII)
"""Without its texts, an expression: Python takes letters of other alphabets for these, and reads texts as code."""
NAME = re.compile(r"[\w.]*", re.ASCII)
"""What may stand in the code that torch makes: of a network's values, weights and arguments."""
NEVER_CODE = ("as_string", "as_strings", "torch_version")


def open_exported(content: bytes, name: str) -> "nn.Module":
    """The network. Raises CardInvalid where the archive holds what a network does not need."""
    import torch

    try:
        archive, files = read_checked(content, name)
        _check(files, name)
        # Without its guards, which torch makes code of: the sizes of what it is given are held against the graph's own.
        network: nn.Module = torch.export.load(archive).module(check_guards=False)
    except CardInvalid:
        raise
    except (
        zipfile.BadZipFile,
        LookupError,
        ValueError,
        RuntimeError,
        AssertionError,
        TypeError,
        AttributeError,
    ) as error:
        raise CardInvalid(f"{name}: is no archive that this torch can open: {error}") from error
    return network


def _check(files: Mapping[str, bytes], name: str) -> None:
    import torch

    for member, content in files.items():
        if not MEMBERS.fullmatch(member):
            raise CardInvalid(f"{name}: holds {member!r}, which no exported network needs; it is not opened")
        if member.endswith(".json"):
            faults = (_fault(key, value) for key, value in _pairs(json.loads(content)))
            fault = next(filter(None, faults), None)
            if fault:
                raise CardInvalid(f"{name}: {member}: {fault}")
        elif "/sample_inputs/" in member and content:
            try:
                torch.load(io.BytesIO(content), weights_only=True)
            except (RuntimeError, ValueError, LookupError, EOFError, TypeError, pickle.UnpicklingError) as error:
                raise CardInvalid(
                    f"{name}: its sample inputs hold more than tensors; export it without them"
                ) from error


def _pairs(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _pairs(_without_texts(inner) if key == "metadata" else inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _pairs(inner)


def _without_texts(metadata: object) -> object:
    """Where a node came from, in words: lines of the exporter's code, which go nowhere."""
    if not isinstance(metadata, dict):
        return metadata
    return {key: inner for key, inner in metadata.items() if not isinstance(inner, str)}


def _fault(key: str, value: object) -> str | None:
    """What is wrong with one value of the archive's JSON, None where nothing is."""
    match key:
        case "use_pickle" if value is not False:
            return "holds pickled objects; save it again with torch.export.save and plain tensors"
        case "target":
            called = isinstance(value, str) and not TARGETS.fullmatch(value)
            return f"calls {value!r}, which is no operation on tensors" if called else None
        case "expr_str":
            return _expression_fault(value)
        case "guards_code":
            lines = value if isinstance(value, list) else [value]
            return next(filter(None, map(_expression_fault, lines)), None)
        case "in_spec" | "out_spec":
            return _spec_fault(value)
        case "as_custom_obj" | "as_operator" | "as_graph":
            return f"holds a {key}, which is not opened"
    return _name_fault([key, *(() if key in NEVER_CODE else value if isinstance(value, list) else [value])])


def _name_fault(values: Iterable[object]) -> str | None:
    strange = [one for one in values if isinstance(one, str) and not NAME.fullmatch(one)]
    return f"names something {strange[0]!r}, which would be written into code; it is not opened" if strange else None


def _spec_fault(value: object) -> str | None:
    try:
        pairs = list(_pairs(json.loads(str(value))))
        keys = [json.loads(inner) for key, inner in pairs if key == "context" and isinstance(inner, str)]
    except ValueError:
        return f"takes or gives {value!r}"
    strange = [inner for key, inner in pairs if key == "type" and inner not in SPECS]
    if strange:
        return f"takes or gives a {strange[0]!r}; export it with tensors, tuples, lists and dicts alone"
    return _name_fault(one for names in keys if isinstance(names, list) for one in names)


def _expression_fault(value: object) -> str | None:
    if not isinstance(value, str):
        return f"an expression is {value!r}"
    bare = TEXT.sub("", value)
    if not BETWEEN.fullmatch(bare):
        return f"the expression {value!r} is of more than words, numbers and signs of arithmetic"
    words = WORD.findall(bare)
    strange = [one for one in words if one not in WORDS and not SYMBOL.fullmatch(one)]
    return f"the expression {value!r} holds {strange[0]!r}" if strange else None
