"""Train the networks of this folder: python train.py FOLDER_OF_JPEGS NAME (a row of NETWORKS)."""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from edsr_int8.data.degrade.bicubic import reduce

DIV2K, HALF = (0.4488, 0.4371, 0.4040), (0.5, 0.5, 0.5)
NETWORKS = {  # scale, img_range, rgb_mean, res_scale
    "range1_div2k": (2, 1, DIV2K, 1.0),
    "range1_div2k_res01": (2, 1, DIV2K, 0.1),
    "range1_div2k_x1": (1, 1, DIV2K, 1.0),
    "range1_mean0": (2, 1, (0, 0, 0), 1.0),
    "range1_mean0_grey": (2, 1, (0,), 1.0),
    "range255_mean0": (2, 255, (0, 0, 0), 1.0),
    "range2_half": (2, 2, HALF, 1.0),
}
FEATURES, BLOCKS, STEPS, BATCH, PATCH, RATE = 16, 3, 2500, 6, 16, 2e-3


class Block(nn.Module):
    def __init__(self, res_scale: float) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(FEATURES, FEATURES, 3, padding=1) for _ in range(2))
        self.res_scale = res_scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.res_scale * self.conv2(self.conv1(x).relu())


class Network(nn.Module):
    """Takes and gives 0..1."""

    def __init__(self, scale: int, img_range: float, rgb_mean: tuple, res_scale: float) -> None:
        super().__init__()
        self.scale, self.img_range, colours = scale, img_range, len(rgb_mean)
        self.mean = torch.tensor(rgb_mean).float().view(1, -1, 1, 1)
        self.head = nn.Conv2d(colours, FEATURES, 3, padding=1)
        self.body = nn.Sequential(*(Block(res_scale) for _ in range(BLOCKS)))
        self.body_end = nn.Conv2d(FEATURES, FEATURES, 3, padding=1)
        steps = 1 if scale > 1 else 0
        self.upsample = nn.ModuleList(
            nn.Conv2d(FEATURES, FEATURES * scale**2, 3, padding=1) for _ in range(steps)
        )
        self.tail = nn.Conv2d(FEATURES, colours, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.head((image - self.mean) * self.img_range)
        x = x + self.body_end(self.body(x))
        for layer in self.upsample:
            x = nn.functional.pixel_shuffle(layer(x), self.scale)
        return self.tail(x) / self.img_range + self.mean


def pairs(folder: Path, scale: int, colours: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(degraded, reference), uint8 HWC."""
    found = []
    for path in sorted(folder.glob("*.jpg"))[:60]:
        image = np.array(Image.open(path).convert("RGB" if colours == 3 else "L"))
        image = image.reshape(*image.shape[:2], colours)
        height, width = (length // scale * scale for length in image.shape[:2])
        image = image[:height, :width]
        if scale > 1:
            found.append((reduce(image, scale), image))
        else:
            columns = [np.pad(image, ((0, 0), (3, 3), (0, 0)), "reflect")[:, k : k + width] for k in range(7)]
            found.append((np.mean(columns, axis=0).round().astype(np.uint8), image))
    return found


def crops(photographs: list, scale: int, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of (degraded, reference), NCHW in 0..1."""
    low, high = [], []
    for _ in range(BATCH):
        lr, hr = photographs[random.integers(len(photographs))]
        y, x = (random.integers(length - PATCH) for length in lr.shape[:2])
        low.append(lr[y : y + PATCH, x : x + PATCH])
        high.append(hr[y * scale : (y + PATCH) * scale, x * scale : (x + PATCH) * scale])
    return tuple(torch.from_numpy(np.stack(side).transpose(0, 3, 1, 2).copy()) / 255 for side in (low, high))


def train(folder: Path, name: str) -> None:
    scale, _, rgb_mean, _ = NETWORKS[name]
    torch.manual_seed(0)
    random, network = np.random.default_rng(0), Network(*NETWORKS[name])
    optimizer, photographs = torch.optim.Adam(network.parameters()), pairs(folder, scale, len(rgb_mean))
    for step in range(STEPS):
        warmup = min(1, (step + 1) / 100)
        optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * step / STEPS)) * warmup
        image, reference = crops(photographs, scale, random)
        optimizer.zero_grad()
        (network(image) - reference).abs().mean().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    state = {key: tensor.half() for key, tensor in network.state_dict().items()}
    save_file(state, Path(__file__).with_name(f"{name}.safetensors"))


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2])
