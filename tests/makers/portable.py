"""Small ONNX files whose answer is known, and one of each kind that must not be opened."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def model(
    nodes: Sequence[onnx.NodeProto],
    tensors: Sequence[onnx.TensorProto] = (),
    *,
    batch: int | str = "batch",
    said: Sequence[str] = ("said",),
    domains: Sequence[str] = ("",),
) -> onnx.ModelProto:
    """A model from `image` (batch, 1, any, any, any) to `said`."""
    shape: list[int | str] = [batch, 1, "z", "y", "x"]
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    given = [helper.make_tensor_value_info(one, TensorProto.FLOAT, None) for one in said]
    graph = helper.make_graph(list(nodes), "graph", [taken], given, list(tensors))
    opsets = [helper.make_opsetid(one, OPSET) for one in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def bright(batch: int | str = "batch") -> bytes:
    """Two channels: 0.5, and the value itself."""
    values = {"zero": 0.0, "half": 0.5}
    zero, half = (numpy_helper.from_array(np.array(one, np.float32), name) for name, one in values.items())
    nodes = [
        helper.make_node("Mul", ["image", "zero"], ["none"]),
        helper.make_node("Add", ["none", "half"], ["middle"]),
        helper.make_node("Concat", ["middle", "image"], ["said"], axis=1),
    ]
    return bytes(model(nodes, [zero, half], batch=batch).SerializeToString())


def _outside() -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    return tensor


def _external() -> onnx.ModelProto:
    return model([helper.make_node("Add", ["image", "zero"], ["said"])], [_outside()])


def _external_constant() -> onnx.ModelProto:
    constant = helper.make_node("Constant", [], ["zero"], value=_outside())
    return model([constant, helper.make_node("Add", ["image", "zero"], ["said"])])


def _external_sparse() -> onnx.ModelProto:
    where = numpy_helper.from_array(np.zeros(1, np.int64), "where")
    constant = helper.make_node(
        "Constant", [], ["zero"], sparse_value=helper.make_sparse_tensor(_outside(), where, [1])
    )
    return model([constant, helper.make_node("Add", ["image", "zero"], ["said"])])


def _external_within() -> onnx.ModelProto:
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["inner"], value=_outside())],
        "inner",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )
    always = numpy_helper.from_array(np.array(True), "always")
    return model([helper.make_node("If", ["always"], ["said"], then_branch=inner, else_branch=inner)], [always])


def _custom() -> onnx.ModelProto:
    return model([helper.make_node("Evil", ["image"], ["said"], domain="com.evil")], domains=("", "com.evil"))


def _custom_undeclared() -> onnx.ModelProto:
    return model([helper.make_node("Evil", ["image"], ["said"], domain="com.evil")])


def _functions() -> onnx.ModelProto:
    made = model([helper.make_node("Neg", ["image"], ["said"])])
    body = [helper.make_node("Neg", ["a"], ["b"])]
    made.functions.append(helper.make_function("", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", OPSET)]))
    return made


HOSTILE: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "external": (_external, "in another file"),
    "external-constant": (_external_constant, "in another file"),
    "external-sparse": (_external_sparse, "in another file"),
    "external-within": (_external_within, "in another file"),
    "custom": (_custom, "operations of 'com.evil'"),
    "custom-undeclared": (_custom_undeclared, r"calls com\.evil\.Evil"),
    "functions": (_functions, "functions of its own"),
}
"""Each with the words of its refusal."""
