"""How fast a download must be, so that none is waited for without end."""

import time
from collections.abc import Callable

SLOWEST = 1000  # bytes a second: a modem of 1996 had four times as many
WINDOW_S = 60.0  # over which the rate is taken: pauses between tries count


class Pace:
    """Counts bytes; `too_slow` where fewer came in a window than SLOWEST allows."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.began, self.bytes = clock(), 0

    def too_slow(self, more: int) -> bool:
        """Whether it is, with `more` bytes that came just now."""
        self.bytes += more
        passed = self.clock() - self.began
        if passed < WINDOW_S:
            return False
        slow = self.bytes < SLOWEST * passed
        self.began, self.bytes = self.clock(), 0
        return slow
