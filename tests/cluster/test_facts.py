"""What makes machines unlike, and how it is said."""

from edsr_int8.cluster.facts import differences, process_facts

OURS = process_facts()


def test_a_machine_is_like_itself() -> None:
    assert differences(process_facts(), OURS) == []


def test_another_cpu_is_named_with_its_instructions() -> None:
    theirs = OURS | {"processor": {"architecture": "aarch64", "instructions": ["i8mm"]}}
    [line] = differences(theirs, OURS | {"processor": {"architecture": "x86_64", "instructions": []}})
    assert line == "processor is aarch64 i8mm there, x86_64  here"


def test_another_version_another_code_or_a_missing_package_is_named() -> None:
    theirs = OURS | {"onnxruntime": "1.0", "edsr-int8": "0123"}
    del theirs["numpy"]
    found = differences(theirs, OURS)
    assert found == [
        f"edsr-int8 is 0123 there, {OURS['edsr-int8']} here",
        f"numpy is missing there, {OURS['numpy']} here",
        f"onnxruntime is 1.0 there, {OURS['onnxruntime']} here",
    ]
