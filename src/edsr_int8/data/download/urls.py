"""URLs of downloads, taken apart; whether they can be fetched is known before anything runs."""

from urllib.parse import unquote, urlsplit

from edsr_int8.errors import InputError

SCHEMES = ("https", "http", "file", "drive")


def scheme(url: str) -> str:
    return urlsplit(url).scheme


def file_name(url: str) -> str:
    """The last name in a URL's path; '' where there is none, as in `drive:ID` without `/NAME`."""
    path = urlsplit(url).path
    if scheme(url) == "drive":
        path = path.partition("/")[2]
    name = unquote(path).rpartition("/")[2]
    return "" if name in (".", "..") else name


def check_url(url: str) -> None:
    """InputError: no URL, of another scheme, without a host, or with a file name that is no text."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in SCHEMES and (parts.scheme not in SCHEMES[:2] or bool(parts.hostname))
        _ = parts.port  # ValueError beyond 65535
    except ValueError as error:
        raise InputError(f"{url!r} is no URL ({error})") from None
    if not known:
        raise InputError(f"{url!r} cannot be fetched; write https, http, file or drive:ID/NAME")
    if not file_name(url).isprintable():
        raise InputError(f"{url!r} ends in a name with control characters")
