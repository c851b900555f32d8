import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from tiny_results import FP32, FP32_OPENVINO, INT8, explained, score, unavailable, with_build, with_model

from edsr_int8.metrics.colours import write_pictures
from edsr_int8.metrics.fid.frechet import Fid
from edsr_int8.report.page.render import fixed, render
from edsr_int8.report.table import quality

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
def html(results):
    return render(results)


def test_fid_stands_beside_its_number_of_patches(results, html):
    assert "FID" not in Reader(html).text
    results = with_build(results, FP32, score=replace(score(34.0, 36.0), fid=Fid(12.25, 640)))
    results = with_build(
        results, INT8, score=replace(score(33.5, 36.25), fid=Fid(None, 0, "no weights at w"))
    )
    text = Reader(render(results)).text
    assert "12.25 640 patches" in text and "Skipped: no weights at w." in text


def test_tags_are_closed_in_turn_and_ids_are_unique(html):
    reader = Reader(html)
    assert len(reader.ids) == len(set(reader.ids))
    assert {anchor.removeprefix("#") for anchor in reader.anchors} <= set(reader.ids)


def test_nothing_is_loaded_from_elsewhere(html):
    assert all(address.startswith("data:") for address in Reader(html).loads)
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import", style)
    assert not re.search(r"https?://|\bfetch\(|\bimport\b|XMLHttpRequest", html[html.index("<script>") :])


def test_every_row_stands_in_the_table(html, results):
    rows = quality(results)
    body = html[html.index('<section id="table">') :].split("</tbody>")[0]
    assert body.count('<th scope="row"') == len(rows) == 4
    assert all(f"{row.psnr_db:.3f}" in body for row in rows if row.psnr_db)
    assert body.count("unavailable: openvino is not installed") == 1


def test_headline_says_the_drop_and_what_it_buys(html):
    assert "int8 costs 0.125\N{NO-BREAK SPACE}dB of PSNR against fp32" in "".join(Reader(html).texts)
    assert "and 2.0 times its speed" in html


def test_a_small_drop_is_no_zero(results):
    better = with_build(results, INT8, score=score(34.0, 35.994))
    assert "int8 costs 0.003\N{NO-BREAK SPACE}dB" in "".join(Reader(render(better)).texts)


def test_the_worst_image_is_named_with_what_it_loses(html):
    assert "0.500 image0" in Reader(html).text


def test_warnings_head_the_page_and_mark_their_rows(results, html):
    assert "Warnings" not in Reader(html).text
    text = Reader(render(with_build(results, INT8, score=score(14.9, 15.0)))).text
    assert "Warnings net: int8 scores below its own input, and fp32 does not" in text
    assert "int8 onnxruntime · warning" in text


def test_card_columns_are_there_only_with_published_figures(html, results):
    assert "34.610" in html
    assert "Card" not in Reader(render(with_model(results, reference={}))).text


def test_pictures_are_the_crops_themselves(html, results):
    images = Reader(html).images
    assert list(images) == ["input", "bicubic", "fp32", "int8", "reference"]
    folder = results.builds[INT8].crops
    encoded = images["int8"]["src"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(encoded) == (folder / "photos.output.png").read_bytes()
    assert (images["input"]["width"], images["int8"]["height"]) == ("4", "6")


def test_network_without_enlargement_shows_no_bicubic(results):
    assert "bicubic" not in Reader(render(with_model(results, scale=1))).images


def test_names_and_reasons_are_escaped(results):
    evil = '"><script>alert(1)</script>&'
    missing = replace(unavailable(), status=f"unavailable: {evil}")
    results = with_build(results, FP32_OPENVINO, scores=missing)
    timing = replace(results.builds[INT8].timing, machine=evil)
    html = render(with_model(with_build(results, INT8, timing=timing), source=evil))
    assert html.count("<script>") == 1
    assert Reader(html).text.count(evil) >= 3


def test_equal_results_give_equal_pages(html, results):
    assert render(results) == html


def test_page_without_pictures_or_any_figure(results, tmp_path):
    missing = replace(results, builds={
        key: replace(build, scores=unavailable(), crops=tmp_path / "none")
        for key, build in results.builds.items()
    })  # fmt: skip
    reader = Reader(render(missing))
    assert reader.ids == ["table", "speed", "notes"]
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
    assert fixed(value, digits) == expected


def test_what_explains_the_loss_stands_on_the_page(results):
    html = render(explained(results))
    text = Reader(html).text
    assert "largest: sum, its output: 50.0 %" in text and "Finetuning" in text
    assert "int8 keeps −25.00 to 50.00" in html and 'x1="25.0%"' in html


def test_ranges_of_rewritten_tensors_are_not_drawn(results):
    recipe = replace(results.recipes["int8"], channel_transform=True)
    rewritten = replace(explained(results), recipes={**results.recipes, "int8": recipe})
    assert "int8 keeps" not in render(rewritten)


def test_what_no_row_needs_is_not_on_the_page(html):
    assert "Where the loss comes from" not in html and 'id="causes"' not in html


def test_colours_are_there_with_the_worst_shift_of_each_precision(results, html):
    assert "Colours" not in Reader(html).text
    shifts = (0.0,) * 27 + (9.52,)
    write_pictures(shifts, results.builds[INT8].crops)
    scores = replace(results.builds[INT8].scores, colour_shifts=shifts)
    page = render(with_build(results, INT8, scores=scores))
    assert "int8: worst 9.52 levels" in Reader(page).text and "the chart" in Reader(page).text
    shown = base64.b64encode((results.builds[INT8].crops / "chart.shifts.png").read_bytes()).decode()
    assert f"base64,{shown}" in page
