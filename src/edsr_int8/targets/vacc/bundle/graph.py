"""The float graph as the vendor's compiler takes it: a fixed shape, the publisher's range, an older opset."""

from collections.abc import Iterable, Mapping

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edsr_int8.onnx_graph import assemble, checked
from edsr_int8.targets.vacc.bundle.config import INPUT, OUTPUT, AcceleratorModel

# The vendor's own exports have this opset; the operations of our graphs mean the same in it as in OPSET.
OPSET, IR_VERSION = 13, 7
GREY_LEVELS = 255


def accelerator_graph(graph: GraphProto, model: AcceleratorModel) -> ModelProto:
    """From a graph of float32 NCHW grey levels, 0..255 in and out, to the accelerator's.

    Its tensors are named `input` and `output`; their values are 0..1 if `model` has the unit range.
    """
    source, target = graph.input[0].name, graph.output[0].name
    constants = list(graph.initializer)
    if model.unit_range:
        factors = {"up": np.float32(GREY_LEVELS), "down": np.float32(1 / GREY_LEVELS)}
        constants += [numpy_helper.from_array(np.asarray(value), name) for name, value in factors.items()]
        body = _renamed(graph.node, {source: "grey", target: "grey_output"})
        first = helper.make_node("Mul", [INPUT, "up"], ["grey"], "grey")
        last = helper.make_node("Mul", ["grey_output", "down"], [OUTPUT], "unit")
        nodes = [first, *body, last]
    else:
        nodes = _renamed(graph.node, {source: INPUT, target: OUTPUT})
    return _fixed_shape(nodes, constants, model)


def _renamed(nodes: Iterable[NodeProto], names: Mapping[str, str]) -> list[NodeProto]:
    """Copies of the nodes; tensors in `names` get the new name."""
    copies = []
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [names.get(name, name) for name in node.input]
        copy.output[:] = [names.get(name, name) for name in node.output]
        copies.append(copy)
    return copies


def _fixed_shape(nodes: list[NodeProto], constants: list[TensorProto], model: AcceleratorModel) -> ModelProto:
    height, width = model.shape
    source, target = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, factor * height, factor * width])
        for name, factor in ((INPUT, 1), (OUTPUT, model.scale))
    )
    return checked(assemble(nodes, [source], [target], constants, {}, opset=OPSET, ir_version=IR_VERSION))
