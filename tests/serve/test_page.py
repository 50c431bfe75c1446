from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import compress
from tests.browser import IS_INSTALLED, NOT_INSTALLED, chromium
from tests.conftest import Run
from tests.serve.conftest import Server, png

if not IS_INSTALLED:
    pytest.skip(NOT_INSTALLED, allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(browser: Chrome, served: Server) -> Chrome:
    """The page, when it knows its models."""
    browser.get(f"http://127.0.0.1:{served.port}/")
    wait(browser, "#drop[data-ready]")
    return browser


def wait(page: Chrome, selector: str) -> Any:
    """Return an element when it is to be seen."""
    return WebDriverWait(page, 20).until(
        lambda _: next((found for found in page.find_elements(By.CSS_SELECTOR, selector) if found.is_displayed()), None)
    )


def drop(page: Chrome, path: Path) -> None:
    """Drop a file on the page, as a hand with a mouse does."""
    box = page.find_element(By.ID, "drop").rect
    where = {"x": box["x"] + 20, "y": box["y"] + 20}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, **where, "data": data})


def test_an_image_that_is_dropped_shows_itself_its_label_and_the_time(
    page: Chrome, tiny_run: Run, images: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "one.png").write_bytes(png(images[5]))

    drop(page, tmp_path / "one.png")

    [right] = compress.load(tiny_run.bundle, threads=1).predict(tmp_path / "one.png", top=5)
    summary = wait(page, "#summary").text
    assert summary.startswith(f"{right.label}, by digits in ")
    assert summary.endswith(" ms")
    rows = [row.text.split(maxsplit=1) for row in page.find_elements(By.CSS_SELECTOR, "#labels tr")]
    assert rows == [[label, f"{100 * probability:.1f} %"] for label, probability in right.top]
    assert page.find_element(By.ID, "image").get_property("naturalWidth") == 32
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_a_file_that_is_chosen_is_classified_and_the_next_one_replaces_it(
    page: Chrome, tiny_run: Run, images: np.ndarray, tmp_path: Path
) -> None:
    classifier = compress.load(tiny_run.bundle, threads=1)
    for i in (0, 1):
        (tmp_path / f"{i}.png").write_bytes(png(images[i]))

        page.find_element(By.ID, "file").send_keys(str(tmp_path / f"{i}.png"))

        [right] = classifier.predict(tmp_path / f"{i}.png")
        WebDriverWait(page, 20).until(lambda _: wait(page, "#summary").text.startswith(f"{right.label}, by digits"))  # noqa: B023


def test_what_is_no_image_shows_the_reason_and_no_labels(page: Chrome, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")

    drop(page, tmp_path / "text.png")

    WebDriverWait(page, 20).until(lambda _: "is not one of JPEG, PNG" in page.find_element(By.ID, "error").text)
    assert not page.find_element(By.ID, "answer").is_displayed()


def test_a_tall_image_is_shown_in_its_own_proportions(page: Chrome, tmp_path: Path) -> None:
    Image.new("L", (20, 400), 99).save(tmp_path / "tall.png")

    drop(page, tmp_path / "tall.png")

    image = wait(page, "#image")
    wait(page, "#summary")
    assert image.rect["width"] > 20 * image.rect["height"] / 400  # its box is at least eight letters wide
    assert image.value_of_css_property("object-fit") == "contain"
