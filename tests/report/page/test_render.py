import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from edsr_int8.quantization.analysis.curves import CurvePoint
from edsr_int8.quantization.analysis.losses import Loss
from edsr_int8.quantization.calibration.counting import sketch
from edsr_int8.quantization.recipe import Recipe
from edsr_int8.report import table
from edsr_int8.report.page import render as page
from edsr_int8.report.page.analysis import Analysis

VOID = {"meta", "link", "img", "input", "br"}
LOADS = {"src", "href", "srcset", "action", "data", "poster"}


class Reader(HTMLParser):
    """Checks that every tag is closed in its turn; keeps ids, links, loaded addresses, texts and pictures."""

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.anchors, self.loads, self.texts, self.images = [], [], [], [], [], {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.anchors.append(found["href"])
        else:
            self.loads += [value for name, value in attributes if name in LOADS]
        if "data-label" in found:
            self.images[found["data-label"]] = found

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def html(models, scores, timings, crops):
    return page.render(models, scores, timings, crops)


def test_fid_stands_beside_its_number_of_patches(models, scores, timings, crops):
    assert "FID" not in Reader(page.render(models, scores, timings, crops)).text
    put = {precision: scores["net", precision, "onnxruntime"]["datasets"]["photos"]["official"]
           for precision in ("fp32", "int8")}  # fmt: skip
    put["fp32"].update(fid=12.25, fid_patches=640, fid_skipped="")
    put["int8"].update(fid=None, fid_patches=0, fid_skipped="no weights at w.pth")
    text = Reader(page.render(models, scores, timings, crops)).text
    assert "12.25 640 patches" in text and "Skipped: no weights at w.pth." in text


def test_tags_are_closed_in_turn_and_ids_are_unique(html):
    reader = Reader(html)
    assert len(reader.ids) == len(set(reader.ids))
    assert {anchor.removeprefix("#") for anchor in reader.anchors} <= set(reader.ids)


def test_nothing_is_loaded_from_elsewhere(html):
    assert all(address.startswith("data:") for address in Reader(html).loads)
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import", style)
    assert not re.search(r"https?://|\bfetch\(|\bimport\b|XMLHttpRequest", html[html.index("<script>") :])


def test_every_row_stands_in_the_table(html, models, scores):
    rows = table.quality(models, scores)
    body = html[html.index('<section id="table">') :].split("</tbody>")[0]
    assert body.count('<th scope="row"') == len(rows) == 4
    assert all(f"{row['psnr_db']:.3f}" in body for row in rows if row["psnr_db"])
    assert body.count("unavailable: openvino is not installed") == 1


def test_headline_says_the_drop_and_what_it_buys(html):
    assert "int8 costs 0.12\N{NO-BREAK SPACE}dB of PSNR against fp32" in "".join(Reader(html).texts)
    assert "and 2.0 times its speed" in html


def test_card_columns_are_there_only_with_published_figures(html, models, scores, timings, crops):
    assert "34.610" in html
    bare = {"net": replace(models["net"], reference={})}
    assert "Card" not in Reader(page.render(bare, scores, timings, crops)).text


def test_pictures_are_the_crops_themselves(html, crops):
    images = Reader(html).images
    assert list(images) == ["input", "bicubic", "fp32", "int8", "reference"]
    folder = crops["net", "int8", "onnxruntime"]
    encoded = images["int8"]["src"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(encoded) == (folder / "photos.output.png").read_bytes()
    assert (images["input"]["width"], images["int8"]["height"]) == ("4", "6")


def test_network_without_enlargement_shows_no_bicubic(models, scores, timings, crops):
    models = {"net": replace(models["net"], scale=1)}
    assert "bicubic" not in Reader(page.render(models, scores, timings, crops)).images


def test_names_and_reasons_are_escaped(models, scores, timings, crops):
    evil = '"><script>alert(1)</script>&'
    scores["net", "fp32", "openvino"]["status"] = f"unavailable: {evil}"
    timings["net", "int8", "onnxruntime"]["machine"] = evil
    named = {"net": replace(models["net"], source=evil)}
    html = page.render(named, scores, timings, crops)
    assert html.count("<script>") == 1
    assert Reader(html).text.count(evil) >= 3


def test_equal_inputs_give_equal_pages(html, models, scores, timings, crops):
    assert page.render(models, scores, timings, crops) == html


def test_page_without_timings_pictures_or_any_figure(models, scores):
    missing = dict.fromkeys(scores, scores["net", "fp32", "openvino"])
    reader = Reader(page.render(models, missing, {}, {}))
    assert reader.ids == ["table", "notes"]
    assert "no target could run it" in reader.text


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (None, 2, "–"),
        (-0.004, 2, "0.00"),
        (-0.25, 2, "−0.25"),
        (1234.5, 1, "1\N{NARROW NO-BREAK SPACE}234.5"),
    ],
)
def test_numbers_are_set_for_reading(value, digits, expected):
    assert page.fixed(value, digits) == expected


def test_what_explains_the_loss_stands_on_the_page(models, scores, timings, crops):
    values = sketch(np.arange(-50, 51, dtype=np.float32))
    losses = [
        Loss("all", "all", 2.0, 0, 0),
        Loss("body", "weights", 0.5, 1.5, 1.2),
        Loss("sum", "tensor", 1.0, 1, 3),
    ]
    curve = [CurvePoint(0, None, 1.0), CurvePoint(10, 0.9, 0.8)]
    scores["net", "int8", "onnxruntime"]["ranges"] = {"sum": {"low": -25.0, "high": 50.0}}
    settings = {"fp32": Recipe("float32"), "int8": Recipe("int8", "percentile", 99.0)}
    analyses = {"net": Analysis(losses, {"sum": values}, {"int8": curve})}
    html = page.render(models, scores, timings, crops, settings, analyses)
    text = Reader(html).text
    assert "most from sum, its output: 50.0 %" in text and "Tuning" in text
    assert "int8 keeps −25.00 to 50.00" in html and 'x1="25.0%"' in html
    settings["int8"] = replace(settings["int8"], channel_transform=True)  # then these are other tensors
    assert "int8 keeps" not in page.render(models, scores, timings, crops, settings, analyses)
