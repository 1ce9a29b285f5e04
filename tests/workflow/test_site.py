"""The site that `make docs` has built, opened from its folder in a browser without a network."""

import pytest


@pytest.fixture
def site(root):
    folder = root / "build" / "docs"
    if not (folder / "index.html").exists():
        pytest.skip("there is no site: make docs")
    return folder


def test_pages_need_nothing_from_elsewhere_and_show_formulas(site, browser):
    for page in ("index.html", "method.html", "reference/config.html", "reference/python/mnmef.filters.base.html"):
        browser.open(site / page)
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    browser.open(site / "method.html")
    assert browser.evaluate("document.querySelectorAll('math').length") > 20
    assert not browser.evaluate("document.body.innerText.includes('\\\\sigma')")


def test_pages_fit_the_screen_of_a_phone(site, browser):
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    for page in ("index.html", "method.html", "results.html", "data_flow.html", "reference/files.html"):
        browser.open(site / page)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390, page


def test_the_search_finds_a_key_of_the_config(site, browser):
    browser.open(site / "index.html")
    browser.wait_for("document.querySelector('input.md-search__input')")
    browser.evaluate(
        "(() => { const field = document.querySelector('input.md-search__input'); document.querySelector('#__search')"
        ".click(); field.focus(); field.value = 'gradient_clip'; field.dispatchEvent(new Event('keyup')); })()"
    )
    browser.wait_for("document.querySelector('.md-search-result__item a[href*=\"reference/config.html\"]')")
