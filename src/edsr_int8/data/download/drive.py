"""Google Drive's page that asks before it gives a large file; what gdown reads off it, too.

`https://drive.usercontent.google.com/download?id=...` gives small files at once. For others it shows a form,
"Google Drive can't scan this file for viruses", whose hidden fields make the address of the file.
"""

from html.parser import HTMLParser
from urllib.parse import quote, urlencode, urljoin

ADDRESS = "https://drive.usercontent.google.com/download?export=download&id="
MOST_BYTES = 2**20  # of such a page; it has a few thousand
FORM, REFUSAL = "download-form", "uc-error-subcaption"


def address(identifier: str) -> str:
    return ADDRESS + quote(identifier, safe="")


def behind(page: str, url: str) -> str:
    """The address that the button of `page` at `url` leads to. ValueError, in Google's words: none."""
    reader = _Form()
    reader.feed(page)
    if reader.action is None:
        said = " ".join(reader.refusal.split())
        raise ValueError(said or "shows a page and not the file; is it shared with anyone who has the link")
    return f"{urljoin(url, reader.action)}?{urlencode(reader.fields)}"


class _Form(HTMLParser):
    action: str | None = None
    refusal = ""
    inside = False  # of what says why not

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form" and given.get("id") == FORM:
            self.action = given.get("action", "")
        elif tag == "input" and given.get("type") == "hidden" and self.action is not None:
            self.fields[given.get("name", "")] = given.get("value", "")
        self.inside = given.get("class") == REFUSAL or (self.inside and tag != "p")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "p"

    def handle_data(self, data: str) -> None:
        self.refusal += data if self.inside else ""
