"""Opens an ONNX file after its graph was looked at: standard operations, everything in the one file that is pinned.

ONNX Runtime loads libraries for custom operations, and reads tensors from files that a model names: neither is let in.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ai.errors import CardInvalid, ModelFailed

if TYPE_CHECKING:
    import torch
    from torch import nn

DOMAINS = frozenset({"", "ai.onnx"})
"""Operations of the ONNX standard itself; others come from libraries."""
MOST_BYTES = 2 << 30
"""What protobuf can hold; a larger network keeps its tensors in other files."""
MOST_NODES = 100_000
DEEPEST = 16
"""Graphs within graphs (If, Loop, Scan)."""
TYPES: dict[str, type[np.floating[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
"""What a network may take, as ONNX Runtime names it."""


def open_portable(content: bytes, name: str, threads: int) -> "nn.Module":
    """The network, which computes on the processor. Raises CardInvalid where the file holds more than a network."""
    import onnx
    import onnxruntime
    from google.protobuf.message import DecodeError
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    if len(content) > MOST_BYTES:
        raise CardInvalid(f"{name}: is larger than {MOST_BYTES >> 30} GiB, which no ONNX file is")
    try:
        _check(onnx.load_model_from_string(content), name)
    except DecodeError as error:
        raise CardInvalid(f"{name}: is no whole ONNX file: {error}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    faults: tuple[type[Exception], ...] = (*_faults(states), RuntimeError, ValueError)
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except faults as error:
        raise CardInvalid(f"{name}: ONNX Runtime {onnxruntime.__version__} does not open it: {error}") from error
    return _network(session, faults, name)


def _check(model: Any, name: str) -> None:
    strange = {one.domain for one in model.opset_import} - DOMAINS
    if strange or model.functions:
        what = f"operations of {min(strange)!r}" if strange else "functions of its own"
        raise CardInvalid(
            f"{name}: uses {what}, which are not part of ONNX; it is not opened. Export it with standard operations"
        )
    count = 0
    for graph in _graphs(model.graph, name):
        count += len(graph.node)
        if count > MOST_NODES:
            raise CardInvalid(f"{name}: has more than {MOST_NODES} operations, which no network has")
        _check_graph(graph, name)


def _check_graph(graph: Any, name: str) -> None:
    for node in graph.node:
        if node.domain not in DOMAINS:
            raise CardInvalid(f"{name}: calls {node.domain}.{node.op_type}, no operation of ONNX; it is not opened")
    attributes = [one for node in graph.node for one in node.attribute]
    sparse = [*graph.sparse_initializer]
    for one in attributes:
        sparse += [one.sparse_tensor, *one.sparse_tensors]
    parts = [tensor for one in sparse for tensor in (one.values, one.indices)]
    dense = [tensor for one in attributes for tensor in (one.t, *one.tensors)]
    for tensor in (*graph.initializer, *parts, *dense):
        if tensor.external_data or tensor.data_location != 0:
            raise CardInvalid(
                f"{name}: keeps the tensor {tensor.name!r} in another file, which its digest does not cover. Save it "
                "as one file: onnx.save(onnx.load('model.onnx'), 'whole.onnx', save_as_external_data=False)"
            )


def _graphs(graph: Any, name: str, depth: int = 0) -> Iterator[Any]:
    if depth > DEEPEST:
        raise CardInvalid(f"{name}: its graphs lie more than {DEEPEST} deep in each other, as in no network")
    yield graph
    for node in graph.node:
        for one in node.attribute:
            for inner in (*([one.g] if one.HasField("g") else []), *one.graphs):
                yield from _graphs(inner, name, depth + 1)


def _faults(states: Any) -> tuple[type[Exception], ...]:
    """All that ONNX Runtime raises; its errors have no common base."""
    return tuple(one for one in vars(states).values() if isinstance(one, type) and issubclass(one, Exception))


def _network(session: Any, faults: tuple[type[Exception], ...], name: str) -> "nn.Module":
    import torch
    from torch import nn

    takes = session.get_inputs()
    if len(takes) != 1 or takes[0].type not in TYPES:
        listed = ", ".join(f"{one.name}: {one.type}" for one in takes)
        raise CardInvalid(f"{name}: a network takes one tensor of numbers, and this one takes {listed}")
    taken, kind = str(takes[0].name), TYPES[takes[0].type]
    alone = list(takes[0].shape)[:1] == [1]

    class Portable(nn.Module):
        """Takes and gives tensors of torch on their own device; a batch that was exported as 1 is taken one by one."""

        def forward(self, x: "torch.Tensor") -> "torch.Tensor | list[torch.Tensor]":
            array = x.cpu().numpy().astype(kind, copy=False)
            parts = [array[n : n + 1] for n in range(len(array))] if alone else [array]
            said = [_run(session, {taken: np.ascontiguousarray(one)}, faults) for one in parts]
            found = [torch.from_numpy(np.concatenate(outputs)).to(x.device) for outputs in zip(*said, strict=True)]
            return found if len(found) > 1 else found[0]

    return Portable()


def _run(session: Any, given: dict[str, Any], faults: tuple[type[Exception], ...]) -> list[Any]:
    try:
        outputs: list[Any] = session.run(None, given)
    except faults as error:
        if "allocate memory" in str(error) or "bad_alloc" in str(error):
            raise MemoryError(str(error)) from error
        raise ModelFailed(f"the network failed: {str(error).splitlines()[0]}") from error
    return outputs
