"""Which device a network was made on: results of different kinds of machine differ in their last bits."""

from dataclasses import replace

import torch

from edsr_int8.quantization.ir.layers import Network

DEVICE = "device"  # key of the metadata


def made_on(device: str, network: Network) -> Network:
    """`network` with the GPU's name in its metadata; the CPU leaves no mark."""
    if device == "cpu":
        return network
    return replace(network, metadata=network.metadata | {DEVICE: torch.cuda.get_device_name(device)})
