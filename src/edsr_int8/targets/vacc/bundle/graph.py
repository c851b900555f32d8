"""The float graph as the vendor's compiler takes it: fixed shape, its publisher's range, an older opset."""

from collections.abc import Iterable, Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edsr_int8.onnx_graph import assemble, checked
from edsr_int8.targets.vacc.bundle.config import INPUT, OUTPUT, CardModel

# The vendor's own exports are of this opset; our operations mean the same in it as in ours.
OPSET, IR_VERSION = 13, 7
GREY_LEVELS = 255


def card_graph(model: ModelProto, card: CardModel) -> ModelProto:
    """From a graph of float32 NCHW grey levels 0..255 in and out, the one for the card.

    Its ends are named `input` and `output`; their values are 0..1 where `card` has the unit range.
    """
    graph = model.graph
    source, target = graph.input[0].name, graph.output[0].name
    constants = list(graph.initializer)
    if card.unit_range:
        factors = {"up": np.float32(GREY_LEVELS), "down": np.float32(1 / GREY_LEVELS)}
        constants += [numpy_helper.from_array(np.asarray(value), name) for name, value in factors.items()]
        body = _renamed(graph.node, {source: "grey", target: "grey_output"})
        first = helper.make_node("Mul", [INPUT, "up"], ["grey"], "grey")
        last = helper.make_node("Mul", ["grey_output", "down"], [OUTPUT], "unit")
        nodes = [first, *body, last]
    else:
        nodes = _renamed(graph.node, {source: INPUT, target: OUTPUT})
    return _model(nodes, constants, card)


def _renamed(nodes: Iterable[NodeProto], names: Mapping[str, str]) -> list[NodeProto]:
    """The nodes with some of their tensors under other names."""
    copies = []
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [names.get(name, name) for name in node.input]
        copy.output[:] = [names.get(name, name) for name in node.output]
        copies.append(copy)
    return copies


def _model(nodes: list[NodeProto], constants: list[TensorProto], card: CardModel) -> ModelProto:
    height, width = card.shape
    source, target = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, factor * height, factor * width])
        for name, factor in ((INPUT, 1), (OUTPUT, card.scale))
    )
    model = assemble(nodes, [source], [target], constants, {}, opset=OPSET, ir_version=IR_VERSION)
    return checked(model)
