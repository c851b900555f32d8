"""The page in a real browser, opened from disk: Chromium of the system, driven by Playwright."""

import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tiny_results import INT8, INT8_OPENVINO, explained, score, tiny_results, with_build

from edsr_int8.data.images import read_rgb, write_png
from edsr_int8.metrics.psnr import psnr_db
from edsr_int8.report.page.render import render
from edsr_int8.report.results import Results

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install -e '.[dev]'")
Browser, Page = playwright.Browser, playwright.Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
pytestmark = needs_chromium

WIDTHS = (390, 1200)  # pixels: a telephone, a desk
READABLE = 4.5  # contrast of text with its background, WCAG 2.1, 1.4.3


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Everything that the page can show: charts, a warning, a missing target, long names, 96x64 pictures."""
    folder = tmp_path_factory.mktemp("results")
    results = explained(tiny_results(folder))
    results = with_build(results, INT8_OPENVINO, score=score(14.9, 15.0, fidelity_db=44.0))
    noise = np.random.default_rng(0)
    reference = noise.integers(0, 256, (64, 96, 3)).astype(np.uint8)
    for key, build in results.builds.items():
        if build.scores.status == "ok":
            output = np.clip(reference + noise.integers(-3, 4, reference.shape), 0, 255).astype(np.uint8)
            for kind, image in (("output", output), ("reference", reference), ("bicubic", reference // 2)):
                write_png(build.crops / f"photos.{kind}.png", image)
            write_png(build.crops / "photos.input.png", reference[::2, ::2])
        timing = replace(build.timing, machine="a machine with a rather long name, 2 cores, AVX2")
        results = with_build(results, key, timing=timing)
    return results


@pytest.fixture(scope="module")
def html(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(results), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as driver:
        yield driver.chromium.launch(executable_path=CHROMIUM)


@pytest.fixture
def page(browser: Browser, html: Path) -> Iterator[Page]:
    """The page at 1200 pixels. Nothing may be said in the console, and nothing loaded but the file itself."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    said: list[str] = []
    loaded: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(html.as_uri())
    yield page
    page.close()
    assert said == []
    assert {url for url in loaded if not url.startswith("data:")} == {html.as_uri()}


def column(page: Page, number: int) -> list[str]:
    """The texts of one column of the table of quality, of the rows that are shown."""
    cells = page.locator(f"#table tbody tr:visible > :nth-child({number})")
    return [re.sub(r"\s+", " ", text).strip() for text in cells.all_inner_texts()]


def test_a_heading_sorts_by_its_column_and_rows_without_figures_come_last(page: Page) -> None:
    heading = page.get_by_role("button", name="PSNR dB", exact=True)
    missing = "unavailable: openvino is not installed; pip install edsr-int8[openvino]"
    heading.click()
    assert column(page, 4) == ["35.000", "34.875", "14.950", missing]
    heading.press("Enter")
    assert column(page, 4) == ["14.950", "34.875", "35.000", missing]
    assert heading.locator("..").get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="Build").first.click()
    assert [text.split()[0] for text in column(page, 2)] == ["fp32", "fp32", "int8", "int8"]


def test_the_filter_keeps_rows_that_hold_every_word(page: Page) -> None:
    page.get_by_label("Filter").fill("INT8 onnxruntime")
    assert column(page, 2) == ["int8 onnxruntime"]
    assert page.get_by_role("status").first.inner_text() == "1 of 4 rows"
    page.get_by_label("Filter").fill("warning")
    assert len(column(page, 2)) == 1
    page.get_by_label("Filter").fill("")
    assert page.get_by_role("status").first.inner_text() == "4 rows"


def divider(page: Page) -> float:
    """Where the divider stands, in per cent of the picture's width, as it is drawn."""
    stage, line = (page.locator(name).first.bounding_box() for name in (".stage", ".stage i"))
    assert stage and line
    return round(100 * (line["x"] + line["width"] / 2 - stage["x"]) / stage["width"])


def test_the_divider_follows_the_mouse(page: Page) -> None:
    stage = page.locator(".stage").first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box and divider(page) == 50
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 30, steps=4)
    page.mouse.up()
    assert divider(page) == pytest.approx(20, abs=3)


def test_the_divider_follows_the_keyboard_and_cuts_the_right_picture(page: Page) -> None:
    slider = page.get_by_role("slider").first
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    assert divider(page) == 55
    slider.press("End")
    assert divider(page) == 100
    right = page.locator(".stage img").nth(1)
    assert right.evaluate("image => getComputedStyle(image).clipPath") == "inset(0px 0px 0px 100%)"


def test_zoom_enlarges_the_pictures_by_its_number(page: Page) -> None:
    stage = page.locator(".stage").first
    widths = {}
    for zoom in ("1", "2", "4"):
        page.get_by_label("Zoom").first.select_option(zoom)
        box = stage.bounding_box()
        assert box
        widths[zoom] = box["width"], box["height"]
    assert widths == {"1": (96, 64), "2": (192, 128), "4": (384, 256)}


def test_the_difference_is_that_of_the_two_pictures_times_the_gain(page: Page, results: Results) -> None:
    form = page.locator(".compare form").first
    for name, choice in (("Left", "reference"), ("Right", "int8"), ("Difference", "16")):
        form.get_by_label(name).select_option(choice)
    folder = results.builds[INT8].crops
    ours, reference = (read_rgb(folder / f"photos.{kind}.png") for kind in ("output", "reference"))
    difference = np.abs(ours.astype(int) - reference)
    drawn = page.locator("canvas").first.evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    )
    np.testing.assert_array_equal(np.reshape(drawn, (64, 96, 4))[..., :3], np.minimum(16 * difference, 255))
    said = form.locator("output").inner_text()
    assert f"PSNR of the two: {psnr_db(ours, reference):.2f} dB" in said
    assert f"Mean difference, grey levels: {difference.mean():.2f}" in said and "Largest: 3" in said


@pytest.mark.parametrize("width", WIDTHS)
def test_only_tables_scroll_sideways_never_the_page(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for details in page.locator("details").all():
        details.evaluate("details => { details.open = true }")
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_are_readable_in_light_and_dark(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    texts = page.locator("h1, h2, h3, p, li, small, td, th, a, dt, dd, summary, figcaption, label, abbr")
    colours = texts.evaluate_all(
        """elements => elements.map(element => {
            const paper = of => getComputedStyle(of).backgroundColor;
            let ground = element;
            while (paper(ground) === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
            return [getComputedStyle(element).color, paper(ground), element.textContent];
        })"""
    )
    assert len(colours) > 100
    for ink, paper, text in colours:
        assert contrast(ink, paper) >= READABLE, (ink, paper, text)
    dark = luminance(colours[0][1]) < 0.5
    assert dark == (scheme == "dark")


def luminance(colour: str) -> float:
    """Relative luminance of 'rgb(r, g, b)', WCAG 2.1."""
    levels = [int(level) / 255 for level in re.findall(r"\d+", colour)[:3]]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in levels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(ink: str, paper: str) -> float:
    darker, lighter = sorted((luminance(ink), luminance(paper)))
    return (lighter + 0.05) / (darker + 0.05)


def test_charts_are_drawn_in_the_colours_of_their_precisions(page: Page) -> None:
    """A chart whose colours or places are lost is an empty box that no other test would notice."""
    chart = page.locator("#speed-quality svg.plot")
    picture = np.asarray(PIL.Image.open(io.BytesIO(chart.screenshot())).convert("RGB")).reshape(-1, 3)
    fill = chart.locator("circle.p1").first.evaluate("circle => getComputedStyle(circle).fill")
    colour = [int(level) for level in re.findall(r"\d+", fill)]
    assert (picture == colour).all(axis=1).sum() > 100  # two discs of radius 5


def test_without_javascript_the_tables_stay_and_the_tools_go(browser: Browser, html: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(html.as_uri())
    assert len(column(page, 4)) == 4
    assert not page.get_by_label("Filter").is_visible() and not page.locator(".compare").first.is_visible()
    context.close()
