"""The table of speed and memory: a row for every build."""

from dataclasses import asdict, dataclass
from typing import Annotated

from edsr_int8.report.placement import ran
from edsr_int8.report.results import BuildKey, Results

Milliseconds = Annotated[float | None, ".3f"]
Count = Annotated[int | None, "d"]
Share = Annotated[float | None, ".4f"]


@dataclass(frozen=True)
class SpeedRow:
    """A row of timings.csv; docs/protocols.md says what each column means. None is an empty cell."""

    model: str
    precision: str
    target: str
    shape: str
    latency_ms: Milliseconds
    spread_ms: Milliseconds
    megapixels_per_s: Annotated[float | None, ".4f"]
    peak_memory_mb: Annotated[float | None, ".1f"]
    load_s: Annotated[float | None, ".3f"]
    machine: str
    runtime: str
    version: str
    threads: Annotated[int, "d"]
    int8_convolutions: Count
    int16_convolutions: Count
    float_convolutions: Count
    int8_mac_share: Share
    int16_mac_share: Share
    partitions: Count
    cpu_nodes: Count
    status: str

    @property
    def build(self) -> BuildKey:
        return BuildKey(self.model, self.precision, self.target)


def speed(results: Results) -> list[SpeedRow]:
    """One row for every build, in the order of params.yaml."""
    rows = []
    for key, build in results.builds.items():
        timing = asdict(build.timing)
        shape = f"{timing.pop('height')}x{timing.pop('width')}"
        fields = timing.pop("placement") | timing
        if timing["status"] == "ok":
            fields["status"] = ran(results, key)
        rows.append(SpeedRow(**key._asdict(), shape=shape, **fields))
    return rows
