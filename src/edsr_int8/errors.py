"""The one exception for what a user can correct, and what the system refuses, in one line."""

import errno
import os

REMEDIES = {
    errno.EACCES: "it belongs to another user, or is read-only: ask its owner, or chmod",
    errno.EPERM: "it belongs to another user, or is read-only: ask its owner, or chmod",
    errno.EROFS: "its file system is mounted read-only; mount it for writing, or work in a copy",
}


class InputError(Exception):
    """Something given to the program cannot be used.

    Its text is one line that names the file or the row and key, the value found, and the way out.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


def told(error: OSError) -> str:
    """The file, what the system says of it, and the way out where there is one."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    remedy = REMEDIES.get(error.errno or 0, "")
    return one_line(f"{error.filename or 'a file'}: {reason}" + (f"; {remedy}" if remedy else ""))


def one_line(text: str) -> str:
    """`text` with line ends, control characters and what is no text at all as escapes, such as \\n.

    Names come from archives, folders and graphs of others: they may break a line, or command a terminal.
    """
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
