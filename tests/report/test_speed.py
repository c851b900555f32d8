from dataclasses import replace

from tiny_results import INT8, MISSING, with_build

from edsr_int8.report.results import Results
from edsr_int8.report.speed import speed
from edsr_int8.report.table import quality
from edsr_int8.targets.figures import Placement


def test_rows_have_the_timing_and_the_shape(results: Results) -> None:
    rows = speed(results)
    assert [row.latency_ms for row in rows] == [100.0, None, 50.0, 40.0]
    assert {row.shape for row in rows} == {"256x256"}
    assert [row.build for row in rows] == list(results.builds)
    assert rows[1].status == MISSING


def test_a_strict_build_that_ran_in_float_is_marked_in_both_tables(results: Results) -> None:
    half = Placement(3, 0, 2, 0.75, 0.0, 1, 60)
    timing = replace(results.builds[INT8].timing, placement=half)
    changed = with_build(results, INT8, timing=timing)
    marked = "ok, but not int8: onnxruntime ran 2 of 5 convolutions in float"
    for rows in (speed(changed), quality(changed)):
        assert [row.status for row in rows if row.build == INT8] == [marked]
        assert {row.status for row in rows if row.build != INT8} <= {"ok", MISSING}
    mixed = replace(changed.recipes["int8"], high_precision_budget=0.3)
    allowed = replace(changed, recipes={**changed.recipes, "int8": mixed})
    assert {row.status for row in speed(allowed)} == {"ok", MISSING}


def test_a_build_tells_where_its_work_ran(results: Results) -> None:
    row = next(row for row in speed(results) if row.build == INT8)
    assert (row.int8_convolutions, row.int8_mac_share, row.partitions, row.cpu_nodes) == (5, 1.0, 1, 60)
