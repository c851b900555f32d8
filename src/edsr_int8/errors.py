"""The one exception for what a user can correct."""


class InputError(Exception):
    """Something given to the program cannot be used.

    Its text is one line that names the file or the row and key, the value found, and the way out.
    """
