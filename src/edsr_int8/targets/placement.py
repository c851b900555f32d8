"""Counting what a runtime made of a build: convolutions, and their share of the work, by arithmetic."""

from collections.abc import Mapping
from math import prod

from onnx import GraphProto

from edsr_int8.targets.execution.receptive_field import receptive_fields
from edsr_int8.targets.figures import Arithmetic, Placement
from edsr_int8.targets.graph import producers


def placement(
    graph: GraphProto,
    arithmetic: Mapping[str, Arithmetic],
    *,
    partitions: int | None = None,
    cpu_nodes: int | None = None,
) -> Placement:
    """The placement of a build.

    `arithmetic`: that of each convolution, by the name of its node in the build's `graph`. Where one is
    missing, the runtime does not tell, and no figure is made up.
    """
    macs = conv_macs(graph)
    if not macs or set(macs) - set(arithmetic):
        return Placement(partitions=partitions, cpu_nodes=cpu_nodes)

    def count(kind: Arithmetic) -> int:
        return sum(arithmetic[name] == kind for name in macs)

    def mac_share(kind: Arithmetic) -> float:
        return sum(macs[name] for name in macs if arithmetic[name] == kind) / sum(macs.values())

    return Placement(
        int8_convolutions=count("int8"),
        int16_convolutions=count("int16"),
        float_convolutions=count("float"),
        int8_mac_share=mac_share("int8"),
        int16_mac_share=mac_share("int16"),
        partitions=partitions,
        cpu_nodes=cpu_nodes,
    )


def conv_macs(graph: GraphProto) -> dict[str, int]:
    """Convolution, by its node's name -> its multiply-accumulates per pixel of the graph's input."""
    fields, makers = receptive_fields(graph), producers(graph.node)
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    found = {}
    for node in graph.node:
        if node.op_type == "Conv":
            weight = node.input[1]
            codes = makers[weight].input[0] if weight in makers else weight
            found[node.name] = prod(shapes[codes]) * fields[node.output[0]].scale ** 2
    return found


def all_convolutions(graph: GraphProto, kind: Arithmetic) -> dict[str, Arithmetic]:
    """Every convolution of `graph`, all in one arithmetic."""
    return {node.name: kind for node in graph.node if node.op_type == "Conv"}
