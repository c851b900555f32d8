"""What is fuzzed: for each kind of file, good ones, ways to damage them, and the reader that takes them.

A reader is the one that stages and commands use. It may take an input or refuse it; an AssertionError here
says that it took what it must not.
"""

import gzip
import hashlib
import io
import json
import lzma
import socketserver
import tarfile
import threading
import zipfile
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import PIL.Image
import safetensors.torch
import torch
from foreign_checkpoints import basicsr_state, official_state
from project import tiny_params
from ruamel.yaml import YAML
from tiny_build import write_tiny
from tiny_qdq import write_edsr
from tiny_results import score, scored, timed, tiny_results

from edsr_int8.checkpoints.checkpoint import open_unknown
from edsr_int8.checkpoints.facts import NetworkFacts, read_facts
from edsr_int8.checkpoints.read import read_state_dict
from edsr_int8.checkpoints.settle import Stated, settle
from edsr_int8.data.download.transfer import download
from edsr_int8.data.download.unpack import unpack
from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.metrics.scores import read_scores, read_status
from edsr_int8.models.description import Description
from edsr_int8.pipeline import params
from edsr_int8.pipeline.preflight import plan
from edsr_int8.quantization.analysis.curves import read_curve
from edsr_int8.quantization.analysis.losses import read_losses
from edsr_int8.quantization.calibration import histogram
from edsr_int8.quantization.ir.grid import Grid
from edsr_int8.quantization.ir.layers import IMAGE, Add, Conv, Network
from edsr_int8.quantization.ir.read_onnx import read_network
from edsr_int8.quantization.state import QuantizedNetwork
from edsr_int8.quantization.state import load as load_state
from edsr_int8.quantization.state import save as save_state
from edsr_int8.report.results import read_conformance, read_timing
from edsr_int8.report.write import write_report
from edsr_int8.targets.execution.apply import apply
from edsr_int8.targets.row import TargetRow
from edsr_int8.targets.vacc.bundle.npz import read_npz
from fuzz import mutate

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]
NETWORK = Description("edsr", 4, 1, 2, 1.0, "pixelshuffle")
PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
BODY = Random(0).randbytes(3000)


@dataclass(frozen=True)
class Subject:
    seeds: Sequence[bytes]
    mutations: Sequence[Mutation]
    read: Callable[[bytes, Path], None]  # content, an empty folder

    def input(self, random: Random) -> bytes:
        return random.choice(self.mutations)(random, random.choice(self.seeds), self.seeds)


def saved(content: object, *, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def flipped_checkpoints() -> Subject:
    """Zip archives with their checksums: what is taken has the weights that were written, to the bit."""
    state = official_state(NETWORK, 0)

    def read(content: bytes, folder: Path) -> None:
        (folder / "x.pt").write_bytes(content)
        found = read_state_dict(folder / "x.pt")
        assert found.keys() == state.keys() and all(torch.equal(found[n], state[n]) for n in state), (
            "other weights"
        )

    return Subject([saved(state)], [flip, mutate.mutated], read)


def flip(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """One bit."""
    data = bytearray(content)
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def checkpoints() -> Subject:
    official, basicsr = official_state(NETWORK, 0), basicsr_state(NETWORK, 1)
    content = [saved(official), saved({"params_ema": basicsr, "epoch": 3, "args": [1, "x", None, 2.5]})]
    content += [saved({"args": Namespace(lr=1e-4, path=Path("x")), "state_dict": official}), scripted()]

    def records(random: Random, _: bytes, __: Sequence[bytes]) -> bytes:
        return mutate.zip_records(random, random.choice(content), content)

    def read(found: bytes, folder: Path) -> None:
        (folder / "x.pt").write_bytes(found)
        checkpoint = open_unknown(folder / "x.pt", scale=2)
        settle(checkpoint, Stated())

    others = [saved({"params": basicsr}, zipped=False), safetensors.torch.save(official)]
    return Subject(others, [mutate.mutated, mutate.mutated, records, records], read)


def scripted() -> bytes:
    """TorchScript."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())), file)
    return file.getvalue()


def finetuned() -> Subject:
    """What finetune leaves for quantize: two files, of which one is damaged."""
    tensor = np.arange(4 * 3 * 9, dtype=np.float32).reshape(4, 3, 3, 3)
    head = Conv("head", (IMAGE,), tensor, np.zeros(4, np.float32), 0.0)
    network = Network((head, Add("sum", ("head", "head"))), {"weights_sha256": "0a"})
    state = QuantizedNetwork(network, {"head": Grid(0.5, 3), "sum": Grid(0.25, 128)}, frozenset({"sum"}))
    with TemporaryDirectory() as folder:
        save_state(Path(folder), state)
        names = sorted(path.name for path in Path(folder).iterdir())
        seeds = [(Path(folder) / name).read_bytes() for name in names]

    def read(content: bytes, folder: Path) -> None:
        damaged = names[0] if content[:2] == b"PK" else names[1]
        for name, seed in zip(names, seeds, strict=True):
            (folder / name).write_bytes(content if name == damaged else seed)
        load_state(folder, weights_sha256="0a")

    def changed(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
        if content[:2] == b"PK":
            return random.choice((mutate.mutated, mutate.zip_records))(random, content, others)
        return random.choice((mutate.mutated, mutate.text))(random, content, others)

    return Subject(seeds, [changed], read)


def images() -> Subject:
    image = PIL.Image.fromarray(PHOTOGRAPH)
    kinds = [(image, "PNG"), (image.convert("L"), "PNG"), (image.quantize(9), "PNG")]
    kinds += [(image, kind) for kind in ("JPEG", "BMP", "TIFF", "WEBP")]
    seeds = []
    for one, kind in kinds:
        file = io.BytesIO()
        one.save(file, kind)
        seeds.append(file.getvalue())

    def chunks(random: Random, _: bytes, __: Sequence[bytes]) -> bytes:
        return mutate.png_chunks(random, random.choice(seeds[:3]), seeds)

    def read(content: bytes, folder: Path) -> None:
        (folder / "x.png").write_bytes(content)
        found = read_rgb(folder / "x.png", upright=True)
        assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3, "no image"

    return Subject(seeds, [mutate.mutated, chunks], read)


def archives() -> Subject:
    plain, packed = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zip_file:
        for name in ("a.png", "b/c.png", "b/ü.png"):
            zip_file.writestr(name, BODY[:500])
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar_file:
        for name in ("a.png", "b/c.png", "b/" + "long" * 40, "ü.png"):
            member = tarfile.TarInfo(name)
            member.size = 500
            tar_file.addfile(member, io.BytesIO(BODY[:500]))
    tar = plain.getvalue()

    def headers(random: Random, _: bytes, others: Sequence[bytes]) -> bytes:
        made = mutate.tar_headers(random, tar, others)
        return random.choice((made, made, gzip.compress(made)))

    def read(content: bytes, folder: Path) -> None:
        (folder / "in").mkdir()
        (folder / "in" / "x").write_bytes(content)
        try:
            unpack(folder / "in" / "x", folder / "in" / "out", kind="zip" if content[:2] == b"PK" else "tar")
        finally:
            assert {path.name for path in folder.iterdir()} == {"in"}, "wrote outside"
            assert {path.name for path in (folder / "in").iterdir()} <= {"x", "out"}, "left something behind"

    seeds = [packed.getvalue(), tar, gzip.compress(tar), lzma.compress(tar)]
    return Subject(seeds, [mutate.mutated, headers], read)


def graphs() -> Subject:
    """Read, loaded and run, on a picture; and as the quantizer reads a float graph."""
    with TemporaryDirectory() as folder:
        write_tiny(Path(folder) / "float.onnx")
        write_edsr(Path(folder) / "int8.onnx", blocks=1)
        seeds = [(Path(folder) / name).read_bytes() for name in ("float.onnx", "int8.onnx")]

    def read(content: bytes, folder: Path) -> None:
        (folder / "x.onnx").write_bytes(content)
        if content[-1:] and content[-1] % 4 == 0:
            read_network(folder / "x.onnx")
            return
        write_png(folder / "in.png", PHOTOGRAPH)
        runtime = ("integer", "torch", "onnxruntime", "onnxruntime")[len(content) % 4]
        apply(folder / "x.onnx", folder / "in.png", folder / "out.png", TargetRow(runtime, threads=1))

    return Subject(seeds, [mutate.mutated, mutate.graph, mutate.graph], read)


def settings() -> Subject:
    """params.yaml, and what `check` does with it."""
    stream = io.StringIO()
    YAML(typ="safe").dump(tiny_params(), stream)
    rows = {
        "downloads": {"a": {"urls": ["https://a/b.zip"], "sha256": "0" * 64, "unpack": "zip", "bytes": 5}}
    }
    more = io.StringIO()
    YAML(typ="safe").dump(tiny_params() | rows | {"mirror": "mirror"}, more)

    def read(content: bytes, folder: Path) -> None:
        (folder / "params.yaml").write_bytes(content)
        plan(params.load(folder / "params.yaml"), folder)

    seeds = [stream.getvalue().encode(), more.getvalue().encode()]
    return Subject(seeds, [mutate.text, mutate.text, mutate.mutated], read)


def reports() -> Subject:
    """The whole report, of figures of which some are damaged: whatever a number says, there is a page."""
    found = json.dumps(asdict(scored(score(33.5, 36.25, fidelity_db=45.0)))).encode()

    def read(content: bytes, folder: Path) -> None:
        (folder / "scores.json").write_bytes(content)
        (folder / "crops").mkdir()
        results = tiny_results(folder / "crops")
        key = next(key for key in results.builds if key.precision != "fp32")
        changed = replace(results.builds[key], scores=read_scores(folder / "scores.json"))
        write_report(folder / "out", replace(results, builds={**results.builds, key: changed}))

    return Subject([found], [digits, digits, mutate.text], read)


def digits(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """JSON with another digit, sign or exponent."""
    data = bytearray(content)
    places = [at for at, one in enumerate(data) if chr(one) in "0123456789.-"]
    for at in random.choices(places, k=random.choice((1, 1, 3))):
        data[at] = random.choice(b"0123456789.-e+")
    return bytes(data)


def arrays() -> Subject:
    counts = np.arange(histogram.BINS) % 3
    files = []
    for content in (
        {"tensors": np.array(["a"]), "bins": np.array([2]), "codes": np.array([1, 2], np.uint16),
         "counts": counts[1:3], "ends": np.array([(0.0, 1.0)]), "weights_sha256": np.array("0a")},
        {"output_0": np.zeros((3, 4, 5), np.float32)},
    ):  # fmt: skip
        file = io.BytesIO()
        np.savez(file, **content)  # type: ignore[arg-type]
        files.append(file.getvalue())

    def read(content: bytes, folder: Path) -> None:
        (folder / "x.npz").write_bytes(content)
        if b"output_0" in content:
            read_npz(folder / "x.npz", "output_0")
        else:
            histogram.load(folder / "x.npz", weights_sha256="0a")

    return Subject(files, [mutate.mutated, mutate.zip_records], read)


def tables() -> Subject:
    """JSON and CSV in build/. The first byte says which of the readers takes the rest."""
    facts = NetworkFacts("edsr", 8, 2, 2, 1.0, "pixelshuffle", source="official", params=1, macs_per_pixel=2,
                         receptive_radius=3, weights_sha256="0a")  # fmt: skip
    readers: dict[str, tuple[Callable[[Path], object], str]] = {
        "scores.json": (read_scores, json.dumps(asdict(scored(score(30.0, 31.0))))),
        "timing.json": (read_timing, json.dumps(asdict(timed(3.0)))),
        "status.json": (lambda path: read_status(path.parent), '{"status": "ok"}'),
        "description.json": (lambda path: read_facts(path.parent), json.dumps(asdict(facts))),
        "comparison.json": (
            lambda path: read_conformance(path, "a"),
            '{"a": {"x": {"equal_share": 0.5, "max_difference": 1}}}',
        ),
        "curve.csv": (read_curve, "step,training_mse,held_out_mse\n0,nan,0.5\n10,0.25,0.5\n"),
        "losses.csv": (read_losses, "name,kind,alone_mse\nhead,tensor,0.5\nhead,weights,0.25\n"),
    }  # fmt: skip
    names = list(readers)

    def read(content: bytes, folder: Path) -> None:
        name = names[content[0] % len(names)] if content else names[0]
        (folder / name).write_bytes(content[1:])
        readers[name][0](folder / name)

    def changed(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
        return content[:1] + random.choice((mutate.text, mutate.mutated))(random, content[1:], others)

    seeds = [bytes([number]) + text.encode() for number, (_, text) in enumerate(readers.values())]
    return Subject(seeds, [changed], read)


class Answering(socketserver.BaseRequestHandler):
    """Sends one answer to whatever is asked, then closes."""

    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(self.server.answer)  # type: ignore[attr-defined]


@cache
def server() -> socketserver.ThreadingTCPServer:
    running = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answering)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return running


def answers() -> Subject:
    """What a web server sends, head and body. What is kept has the hash of the row."""
    digest = hashlib.sha256(BODY).hexdigest()

    def read(content: bytes, folder: Path) -> None:
        server().answer = content  # type: ignore[attr-defined]
        url = f"http://127.0.0.1:{server().server_address[1]}/x.zip"
        out, stated = folder / "x.zip", len(BODY) if content[-1:] < b"\x80" else 0
        try:
            download(
                [url],
                out,
                sha256=digest,
                partial=folder / "x.part",
                expected_bytes=stated,
                sleep=lambda _: None,
            )
        finally:
            assert not out.exists() or hashlib.sha256(out.read_bytes()).hexdigest() == digest, "another file"

    def head(*lines: str, body: bytes = BODY) -> bytes:
        return "\r\n".join([*lines, "", ""]).encode() + body

    chunked = b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"
    seeds = [
        head("HTTP/1.1 200 OK", f"Content-Length: {len(BODY)}"),
        head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=chunked),
        head(
            "HTTP/1.1 206 Partial", f"Content-Range: bytes 0-2999/{len(BODY)}", f"Content-Length: {len(BODY)}"
        ),
        head("HTTP/1.1 302 Found", "Location: http://127.0.0.1:1/y.zip", "Content-Length: 0", body=b""),
        head("HTTP/1.1 200 OK", "Content-Encoding: gzip", body=gzip.compress(BODY)),
        head("HTTP/1.0 200 OK", "Content-Type: text/html", "Set-Cookie: a=b"),
    ]

    def in_head(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
        lines, _, body = content.partition(b"\r\n\r\n")
        return mutate.text(random, lines) + b"\r\n\r\n" + body

    return Subject(seeds, [mutate.mutated, in_head, in_head], read)


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "flipped_checkpoints": flipped_checkpoints,
    "checkpoints": checkpoints,
    "finetuned": finetuned,
    "images": images,
    "archives": archives,
    "graphs": graphs,
    "settings": settings,
    "arrays": arrays,
    "reports": reports,
    "tables": tables,
    "answers": answers,
}
