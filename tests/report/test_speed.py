from tiny_results import MISSING

from edsr_int8.report.results import Results
from edsr_int8.report.speed import speed


def test_rows_have_the_timing_and_the_shape(results: Results) -> None:
    rows = speed(results)
    assert [row.latency_ms for row in rows] == [100.0, None, 50.0, 40.0]
    assert {row.shape for row in rows} == {"256x256"}
    assert [row.build for row in rows] == list(results.builds)
    assert rows[1].status == MISSING
