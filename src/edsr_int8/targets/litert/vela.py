"""What Arm's compiler for Ethos-U makes of a .tflite: operators on the NPU and on the CPU, cycles, memory."""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edsr_int8.files import atomic, write_json
from edsr_int8.targets.base import Unavailable, one_line

# One of each generation, in its middle; Vela brings a memory system for each.
ACCELERATORS = ("ethos-u55-256", "ethos-u65-512", "ethos-u85-256")
CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "TransposeConv2D")  # as Vela names them


def write_reports(model: Path, out: Path) -> None:
    """Compile `model` (.tflite, of one shape): `out`/<accelerator>.tflite, and `out`/vela.json about all.

    Unavailable: Vela cannot compile it.
    """
    write_json(
        out / "vela.json", {name: compile_for(model, name, out / f"{name}.tflite") for name in ACCELERATORS}
    )


def compile_for(model: Path, accelerator: str, compiled: Path) -> dict[str, Any]:
    """Write `compiled`, the commands for `accelerator`, and return Vela's estimates of one run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ethosu.vela", str(model), "--output-dir", folder]
        done = subprocess.run(
            [*command, "--accelerator-config", accelerator, "--verbose-performance"],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise Unavailable(
                f"vela cannot compile {model}: {one_line(RuntimeError(done.stderr or done.stdout))}"
            )
        with atomic(compiled) as temporary:
            temporary.write_bytes((Path(folder) / f"{model.stem}_vela.tflite").read_bytes())
        operators = _rows(Path(folder) / f"{model.stem}_per-layer.csv")
        (summary,) = _rows(next(Path(folder).glob(f"{model.stem}_summary_*.csv")))
    return {**_placed(operators), **_estimates(summary)}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _placed(operators: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """How many operators, and how many convolutions, run on the NPU; the names of those on the CPU.

    Vela may make several operators of one; each counts.
    """
    convolutions = [o for o in operators if o["Original Operator"] in CONVOLUTIONS]
    on_npu = [o for o in operators if o["Target"] == "NPU"]
    return {
        "operators": len(operators),
        "operators_on_npu": len(on_npu),
        "convolutions": len(convolutions),
        "convolutions_on_npu": sum(o["Target"] == "NPU" for o in convolutions),
        "on_cpu": sorted(
            {f"{o['Original Operator']} {o['Name']}" for o in operators}
            - {f"{o['Original Operator']} {o['Name']}" for o in on_npu}
        ),
    }


def _estimates(summary: Mapping[str, str]) -> dict[str, Any]:
    """Memory in KiB; cycles of the NPU's clock, and the time that they take."""
    return {
        "system": f"{summary['system_config']}, {summary['memory_mode']}",
        "sram_kib": float(summary["sram_memory_used"]),
        "dram_kib": float(summary["dram_memory_used"]),
        "flash_kib": float(summary["on_chip_flash_memory_used"])
        + float(summary["off_chip_flash_memory_used"]),
        "macs": int(summary["nn_macs"]),
        "cycles": int(summary["cycles_total"]),
        "clock_mhz": float(summary["core_clock"]) / 1e6,
        "milliseconds": 1e3 * float(summary["inference_time"]),
    }
