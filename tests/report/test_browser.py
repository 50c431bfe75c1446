"""The page as a browser shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from compress.report import page
from compress.report.file import PAGE
from tests.browser import IS_INSTALLED, NOT_INSTALLED, chromium
from tests.report.test_page import evidence, made

if not IS_INSTALLED:
    pytest.skip(NOT_INSTALLED, allow_module_level=True)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    report = made(("a", "b", "a class with a name that is much too long for any column of any table on any telephone"))
    page.write(folder, report, evidence(report))
    return folder / PAGE


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium(performance="ALL") as driver:
        yield driver


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_asks_nobody_and_each_section_has_something_to_show(
    browser: Chrome, file: Path, width: int, scheme: str
) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    browser.get(file.as_uri())

    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in asked} == {"file", "data"}
    assert [url for url in asked if url.startswith("file")] == [file.as_uri()]
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    for name in page.TITLES:
        section = browser.find_element(By.ID, name)
        assert section.find_elements(By.CSS_SELECTOR, "table, svg, dl, pre"), name
        assert section.text.strip()
    cut = """return [...document.querySelectorAll("figure")].filter(figure => {
      const box = figure.querySelector("svg").getBoundingClientRect();
      return [...figure.querySelectorAll("text")].some(text => {
        const own = text.getBoundingClientRect();
        return own.left < box.left - 2 || own.right > box.right + 2;
      });
    }).map(figure => figure.id)"""
    assert browser.execute_script(cut) == []


def test_tables_are_sorted_by_keyboard(browser: Chrome, file: Path) -> None:
    browser.get(file.as_uri())

    def accuracies() -> list[str]:
        rows = browser.find_elements(By.CSS_SELECTOR, "#models tbody tr")
        return [row.find_elements(By.TAG_NAME, "td")[0].text for row in rows]

    head = browser.find_elements(By.CSS_SELECTOR, "#models th")[1]
    head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "ascending"
    assert accuracies() == sorted(accuracies(), key=lambda text: float(text.removesuffix(" %")))

    head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "descending"
    assert accuracies() == sorted(accuracies(), key=lambda text: -float(text.removesuffix(" %")))
