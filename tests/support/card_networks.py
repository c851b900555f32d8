"""A row of the card preset from a server to ONNX, as a function that runs in a process of its own."""

import hashlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from foreign_checkpoints import foreign_state
from http_server import Served, serving
from skimage import data

from edsr_int8.checkpoints.convert import convert, load_network
from edsr_int8.checkpoints.facts import NetworkFacts, read_facts
from edsr_int8.data.download import transfer as download
from edsr_int8.data.download.fetch import fetch
from edsr_int8.data.download.row import DownloadRow
from edsr_int8.export import export
from edsr_int8.files import sha256
from edsr_int8.pipeline import params
from edsr_int8.pipeline.rows import Model

MODELS = params.load(Path(__file__).resolve().parents[2] / "presets" / "card.yaml").models
PHOTOGRAPH = data.astronaut()[100:111, 180:194]


@dataclass(frozen=True)
class Brought:
    """What came of a row."""

    answers: list[int]  # HTTP statuses that its download met
    facts: NetworkFacts
    parameters: int  # of the network that loads
    weights_sha256: str  # of the converted file
    max_abs_error: float  # ONNX against torch, in grey levels ...
    onnx_bytes: int  # ... and 0 where it was not exported


def bring(name: str, *, exported: bool) -> Brought:
    """Fetch, convert and, with `exported`, export a made checkpoint of the row's true shape."""
    os.environ["NO_PROXY"], download.FIRST_PAUSE_S = "127.0.0.1", 0.0
    row, error, length = MODELS[name], 0.0, 0
    with TemporaryDirectory() as temporary:  # not pytest's, which it keeps: these are large
        folder = Path(temporary)
        checkpoint, answers = fetched(row, folder)
        facts = convert(checkpoint, row.source, row.description, folder / "network")
        network, loaded = load_network(folder / "network")
        assert loaded == facts == read_facts(folder / "network")
        assert not network.training and not any(p.requires_grad for p in network.parameters())
        if exported:
            export(folder / "network", PHOTOGRAPH, folder / "export")
            error = json.loads((folder / "export" / "parity.json").read_text())["max_abs_error"]
            length = onnx.load(folder / "export" / "uint8.onnx").ByteSize()
        digest = sha256(folder / "network" / "weights.safetensors")
        count = sum(p.numel() for p in network.parameters())
    return Brought(answers, facts, count, digest, error, length)


def fetched(row: Model, folder: Path) -> tuple[Path, list[int]]:
    """Its checkpoint, known by 8 digits of its hash, from a server that breaks off midway."""
    stream = io.BytesIO()
    torch.save(foreign_state(row.source, row.description, seed=0), stream)
    body, name = stream.getvalue(), Path(row.weights).name
    with serving({name: Served(body, cuts=[len(body) // 2])}) as server:
        digest = hashlib.sha256(body).hexdigest()[:8]
        row = DownloadRow((server.url(name),), digest, unpack="")
        fetch(row, folder / "fetched", partial=folder / "partial")
        return folder / "fetched" / name, [status for _, status, _ in server.log]
