"""The command line: `edsr-int8 add`, `check`, `summary`, `apply`, `bundle`, `score`, `verify`."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edsr_int8.ending import end_on_signals
from edsr_int8.errors import InputError, one_line, told

READER_IS_GONE = 141  # what a shell says of a command that was ended by a closed pipe


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when all is well, 1 with one line an error on stderr, 2 for wrong usage."""
    if arguments is None:  # as a program; what takes long to import comes after this
        end_on_signals()
    parser = argparse.ArgumentParser(prog="edsr-int8", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_add(commands)
    command = commands.add_parser("check", help="validate params.yaml; say what a run would fetch and need")
    command.set_defaults(run=_check)
    command = commands.add_parser("summary", help="print the table of the last run")
    command.set_defaults(run=_summary)
    _add_apply(commands)
    _add_bundle(commands)
    _add_score(commands)
    _add_verify(commands)
    options = parser.parse_args(arguments)
    try:
        status = options.run(options)
        sys.stdout.flush()  # a reader that is gone shows here, and not when Python ends
        return status
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        return READER_IS_GONE
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {told(error)}", file=sys.stderr)
    return 1


def _add_add(commands: Any) -> None:
    command = commands.add_parser("add", help="write rows for a checkpoint of one's own into params.yaml")
    command.add_argument("weights", type=Path, help="a checkpoint of EDSR or MDSR, in any common format")
    command.add_argument(
        "--images", type=Path, help="folder of images to score it on (default: the sample's)"
    )
    command.add_argument("--calibration", type=Path, help="folder of images to calibrate on (likewise)")
    command.add_argument("--name", default="", help="of the model's row (default: from the file's name)")
    command.add_argument("--scale", type=int, help="of a file of MDSR, which holds three")
    command.add_argument("--res-scale", type=float, help="these three: how it was trained (default: found)")
    command.add_argument("--img-range", type=float, help="see docs/params.md")
    command.add_argument("--rgb-mean", type=float, nargs=3, metavar=("R", "G", "B"), help="from 0 to 1")
    command.set_defaults(run=_add)


def _add(given: argparse.Namespace) -> int:
    from edsr_int8.checkpoints.settle import Stated  # the other commands need not wait for it
    from edsr_int8.pipeline.add import Wish, add

    _require_repository()
    stated = Stated(given.res_scale, given.img_range, tuple(given.rgb_mean) if given.rgb_mean else None)
    wish = Wish(given.weights, given.images, given.calibration, given.name, given.scale, stated)
    for line in add(wish, Path("params.yaml")):
        print(line)
    return 0


def _add_apply(commands: Any) -> None:
    command = commands.add_parser("apply", help="run a picture, or a folder of pictures, through a build")
    command.add_argument("model", type=Path, help="a build: build/<model>/<precision>/model.onnx")
    command.add_argument(
        "source", type=Path, help="a picture of 8 bits, or a folder of them: PNG, JPEG, BMP, TIFF, WebP"
    )
    command.add_argument("destination", type=Path, help="where the result goes: a .png file, or a folder")
    command.add_argument("--target", default="onnxruntime", help="runtime (default: %(default)s)")
    command.add_argument("--provider", default="", help="its execution provider or device")
    command.add_argument("--threads", type=int, default=0, help="0, the default: all cores")
    command.add_argument("--memory-budget-mb", type=int, default=2048, help="default: %(default)s")
    command.set_defaults(run=_apply)


def _apply(given: argparse.Namespace) -> int:
    from edsr_int8.targets.execution.apply import apply  # the other commands need not wait for it
    from edsr_int8.targets.row import MOST_THREADS, TargetRow
    from edsr_int8.targets.torch_threads import set_torch_threads

    if not 0 <= given.threads <= MOST_THREADS:
        raise InputError(f"--threads: {given.threads} is not from 0 to {MOST_THREADS}; give 0 for all cores")
    row = TargetRow(given.target, given.threads, given.memory_budget_mb, given.provider)
    set_torch_threads(row)
    apply(given.model, given.source, given.destination, row)
    return 0


# Two forms of the graph, and the targets that compile builds.
BUNDLES = ("npu", "tensorrt", "litert", "qnn", "rknn")


def _add_bundle(commands: Any) -> None:
    text = "write a build as a vendor's compiler takes it"
    command = commands.add_parser("bundle", help=text)
    command.add_argument("model", type=Path, help="a build: build/<model>/<precision>/model.onnx")
    command.add_argument("folder", type=Path, help="where the graph goes")
    command.add_argument("--target", choices=BUNDLES, required=True)
    command.add_argument("--height", type=int, required=True, help="of the input image, pixels")
    command.add_argument("--width", type=int, required=True)
    command.add_argument("--opset", type=int, default=17, help="npu only; default: %(default)s")
    command.add_argument("--python", default="", help="rknn only: the Python that has rknn-toolkit2")
    command.set_defaults(run=_bundle)


def _bundle(given: argparse.Namespace) -> int:
    from edsr_int8.targets.base import Unavailable, compile_build  # the other commands need not wait for it
    from edsr_int8.targets.form import Form, write_npu
    from edsr_int8.targets.row import TargetRow
    from edsr_int8.targets.tensorrt import write_tensorrt

    shape = (given.height, given.width)
    if given.target == "tensorrt":
        write_tensorrt(given.model, given.folder, height=given.height, width=given.width)
    elif given.target == "npu":
        write_npu(given.model, given.folder, Form(given.opset, shape=shape))
    else:
        try:
            compile_build(TargetRow(given.target, python=given.python, tile=shape), given.model, given.folder)
        except Unavailable as error:
            raise InputError(str(error)) from None
    return 0


def _add_score(commands: Any) -> None:
    command = commands.add_parser("score", help="score any program's images under every protocol")
    command.add_argument("outputs", type=Path, help="folder of the images to score")
    command.add_argument("references", type=Path, help="folder of their references, under the same names")
    command.add_argument(
        "--scale", type=int, required=True, choices=(1, 2, 3, 4, 8), help="of the enlargement"
    )
    command.add_argument("--json", action="store_true", help="print JSON in place of a table")
    command.set_defaults(run=_score)


def _score(given: argparse.Namespace) -> int:
    from edsr_int8.metrics.score_folders import score_folders  # the other commands need not wait for it
    from edsr_int8.report.folder_scores import as_text

    scores = score_folders(given.outputs, given.references, scale=given.scale)
    print(json.dumps(asdict(scores), indent=1) if given.json else as_text(scores))
    return 0


def _add_verify(commands: Any) -> None:
    text = "hash everything again; 0 where a dvc repro would run nothing but the probe"
    command = commands.add_parser("verify", help=text)
    command.add_argument(
        "--allow-missing",
        action="store_true",
        help="as of dvc repro: files that are only missing are no fault",
    )
    command.add_argument("--remote", default="", help="which to look at (default: DVC's default one, if any)")
    command.set_defaults(run=_verify)


def _verify(given: argparse.Namespace) -> int:
    from edsr_int8.pipeline.verify import verify  # the other commands need not wait for it

    _require_repository()
    found = 0
    for line in verify(Path(), allow_missing=given.allow_missing, remote=given.remote):
        found += 1
        print(f"error: {one_line(line)}", file=sys.stderr)
    command = "dvc repro --allow-missing" if given.allow_missing else "dvc repro"
    well = f"code, data, cache and locks fit: {command} would run nothing but the probe"
    print(f"faults: {found}" if found else well)
    return 1 if found else 0


def _require_repository() -> None:
    """InputError where this folder is not the repository's: paths are relative to that."""
    if Path("dvc.yaml").is_file():
        return
    above = next((folder for folder in Path.cwd().parents if (folder / "dvc.yaml").is_file()), None)
    raise InputError(f"dvc.yaml: not in this folder; run this in {above or 'the folder of the repository'}")


def _check(_: argparse.Namespace) -> int:
    from edsr_int8.pipeline import params
    from edsr_int8.pipeline.preflight import plan
    from edsr_int8.pipeline.recovery import recover

    _require_repository()
    for line in recover(Path()):
        print(line)
    rows = params.load(Path("params.yaml"))
    found = plan(rows, Path())
    for line in found.warnings:
        print(f"warning: {one_line(line)}", file=sys.stderr)
    for line in found.problems:
        print(f"error: {one_line(line)}", file=sys.stderr)
    for line in found.unpinned:
        print(line)
    print(f"{len(rows.models)} models, {len(rows.precisions)} precisions, {len(rows.targets)} targets")
    unknown = f", and {', '.join(found.fetch_unknown)} of unknown length" if found.fetch_unknown else ""
    print(f"to fetch: {found.fetch_bytes / 1e6:.0f} MB{unknown}")
    more = ", and what those take," if found.fetch_unknown else ""
    print(f"disk: about {found.disk_bytes / 1e9:.1f} GB{more} needed, {found.free_bytes / 1e9:.1f} GB free")
    return 1 if found.problems else 0


def _summary(_: argparse.Namespace) -> int:
    from edsr_int8.pipeline import layout

    _require_repository()
    table = layout.RESULTS / "table.md"
    if not table.is_file():
        raise InputError(f"{table}: not found; dvc repro makes it")
    print(table.read_text(encoding="utf-8"))
    page = (layout.RESULTS / "report.html").resolve().as_uri()
    print(f"{page} shows the pictures; results/table.csv has every column")
    return 0


if __name__ == "__main__":
    sys.exit(main())
