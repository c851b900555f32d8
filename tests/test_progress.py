"""The line that a log gets of long work."""

from edsr_int8.progress import Progress


def test_rate_and_remaining_time_are_of_this_run_over_all_workers() -> None:
    with Progress("infer", total=3214, done=200, workers=4) as progress:
        progress.advance(120)
        assert progress.line(60) == "infer: 320 of 3214 images, 2 a second by 4 workers, 24:07 left"


def test_before_the_first_image_nothing_is_promised() -> None:
    with Progress("infer", total=10) as progress:
        assert progress.line(5) == "infer: 0 of 10 images, 0 a second, unknown time left"
