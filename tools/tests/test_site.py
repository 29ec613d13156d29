"""The pages that the repository carries, docs/site, in a browser: they open from disk, fetch nothing, break nowhere."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from test_page import browser, pytestmark  # noqa: F401 - a fixture, and what skips both

SITE = Path(__file__).resolve().parents[2] / "docs" / "site"
VERDICT = SITE.parent / "results" / "verdict-fresh.json"


def test_the_index_leads_to_pages_that_work(browser: Any) -> None:  # noqa: F811
    page = browser.new_context(offline=True).new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.goto((SITE / "index.html").as_uri())
    links = page.locator("a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert {*links} == {file.name for file in SITE.glob("*.html")} - {"index.html"}
    for link in links:
        page.goto((SITE / link).as_uri())
        assert page.locator("svg").count() > 0, link
    assert problems == []


def test_the_fresh_page_is_of_the_verdict_that_is_shipped(browser: Any) -> None:  # noqa: F811
    page = browser.new_context(offline=True).new_page()
    page.goto((SITE / "fresh.html").as_uri())
    text = page.locator("body").inner_text()
    for row in json.loads(VERDICT.read_text("utf-8"))["rows"]:
        assert row["scorer"] in text
