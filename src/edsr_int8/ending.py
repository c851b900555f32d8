"""How a process ends when it is told to: within a second, with nothing half-written left behind.

Python runs the handler of a signal between two of its own instructions, and one call of a runtime can take
half a minute. Here a thread waits for the signal instead.
"""

import os
import select
import signal
import sys
import threading

from edsr_int8.files import discard_unfinished

CHECK_S = 0.25  # between two looks whether the parent is still there


def end_on_signals(*, with_parent: bool = False) -> None:
    """From here on SIGTERM and Ctrl-C end this process: exit status 143 and 130, as shells count.

    `with_parent`: so does the end of the process that started it. A stage whose DVC was killed must not go on
    beside the same stage of the next run. A signal that is ignored stays so.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave_to_the_thread)
    parent = os.getppid() if with_parent else 0
    threading.Thread(target=_wait, args=(reading, parent), name="ending", daemon=True).start()


def end_done() -> None:
    """End this process, whose work is done, with status 0: Python would take torch down for half a second."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _leave_to_the_thread(*_: object) -> None: ...


def _wait(reading: int, parent: int) -> None:
    while True:
        ready, _, _ = select.select([reading], [], [], CHECK_S if parent else None)
        for number in os.read(reading, 64) if ready else b"":
            if number in (signal.SIGTERM, signal.SIGINT):
                _end(number)
        if parent and os.getppid() != parent:
            _end(signal.SIGTERM)


def _end(number: int) -> None:
    discard_unfinished()
    sys.stderr.flush()
    os._exit(128 + number)
