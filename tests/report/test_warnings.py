"""A row whose build ran, and whose figures nobody should trust."""

from dataclasses import replace

from tiny_results import FP32, FP32_OPENVINO, INT8, INT8_OPENVINO, score, with_build, with_model

from edsr_int8.report.results import Results
from edsr_int8.report.table import quality


def warnings(results: Results) -> dict[str, str]:
    return {"/".join(row.build[1:]): row.warning for row in quality(results)}


def test_a_good_run_has_none(results: Results) -> None:
    assert set(warnings(results).values()) == {""}


def test_a_network_that_is_worse_than_its_input_is_flagged_in_every_precision(results: Results) -> None:
    """Inputs have 30 dB. Random weights scored 12 dB, and nothing said so."""
    bad = with_build(with_build(results, FP32, score=score(12.0)), INT8, score=score(11.9))
    found = warnings(with_build(bad, INT8_OPENVINO, score=score(30.5)))
    assert found["fp32/onnxruntime"] == found["int8/onnxruntime"]
    assert found["fp32/onnxruntime"].startswith("fp32 scores below its own input")
    assert found["fp32/openvino"] == found["int8/openvino"] == ""


def test_a_precision_that_falls_below_the_input_is_flagged_alone(results: Results) -> None:
    found = warnings(with_build(results, INT8, score=score(14.9, 15.0)))
    assert found["int8/onnxruntime"] == "int8 scores below its own input, and fp32 does not"
    assert found["fp32/onnxruntime"] == ""


def test_calibration_that_leaves_out_what_evaluation_needs_is_flagged_with_the_worst_tensor(
    results: Results,
) -> None:
    def clipped(share: float) -> dict[str, str]:
        analysis = replace(results.analyses["net"], clipped={"head": 0.001, "body.1.conv2.add": share})
        return warnings(replace(results, analyses={"net": analysis}))

    assert set(clipped(0.0049).values()) == {""}
    found = clipped(0.269)
    assert found["fp32/onnxruntime"] == ""
    assert (
        "do not cover" in found["int8/onnxruntime"]
        and "26.9 % of the values of body.1.conv2.add" in (found["int8/onnxruntime"])
    )


def test_calibration_on_the_images_that_are_scored_is_flagged_where_int8_is(results: Results) -> None:
    found = warnings(with_model(results, calibration="photos"))
    assert found["fp32/onnxruntime"] == ""
    assert found["int8/onnxruntime"].startswith("calibrated on the images of photos")
    assert FP32_OPENVINO in results.builds  # which has no figures, and so nothing to warn of
