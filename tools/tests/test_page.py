"""The leaderboard's page (`evictlab report --output FILE.html`) in a browser: Chromium, driven by Playwright."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evictlab_tools.library import Lab

sync_api = pytest.importorskip("playwright.sync_api", reason="needs evictlab-tools[dev]")
CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian: chromium)")

HOSTILE = "<img src=x onerror=\"document.title='ran'\"><b>bold</b> *md* \x1b[31m`x` | \u202eend"
ROWS = 200
LONG = "if(relative_pos < -0.2, 0, window_attn:64)"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bench of a captured suite with rows of every class, 200 in all, one of them of a hostile name."""
    file = tmp_path_factory.mktemp("page") / "bench.json"
    budgets = "adakv@kvpress(snapkv@kvpress),kvzip@kvpress"
    scorers = f"snapkv@kvpress,tova@kvpress,knorm@kvpress,triattention@paper,=key_norm,={LONG},{budgets}"
    command: list[str | Path] = [Lab().library.program, "bench", "--suite", "smollm2", "--scorers", scorers,
                                 "--format", "json", "--output", file]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    bench = json.loads(file.read_text("utf-8"))
    model = next(row for row in bench["rows"] if row["scorer"] == "knorm@kvpress")
    for number in range(ROWS - len(bench["rows"])):
        bench["rows"].append({**model, "scorer": HOSTILE if number == 0 else f"mine_{number}"})
    file.write_text(json.dumps(bench), "utf-8")
    return file


@pytest.fixture(scope="module")
def page_file(results: Path) -> Path:
    file = results.with_name("board.html")
    subprocess.run([Lab().library.program, "report", "--bench", results, "--output", file], check=True)
    return file


@pytest.fixture(scope="module")
def rows(results: Path) -> dict[str, Any]:
    """By scorer, what the leaderboard says as JSON."""
    file = results.with_name("board.json")
    subprocess.run([Lab().library.program, "report", "--bench", results, "--output", file], check=True)
    suite = json.loads(file.read_text("utf-8"))["suites"][0]
    groups = ("rows", "rows_with_uneven_budgets", "rows_with_two_passes")
    return {row["scorer"]: row for group in groups for row in suite[group]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
        except sync_api.Error as error:
            pytest.skip(f"{CHROMIUM} cannot be started here: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("request", lambda request: problems.append(request.url) if not request.url.startswith("file:") else None)
    page.goto(page_file.as_uri())
    yield page
    assert problems == []
    context.close()


def names(page: Any, group: int = 1) -> list[str]:
    texts: list[str] = page.locator(
        f"#table tbody:nth-of-type({group}) tr:not(.class):not(.details) .name"
    ).all_text_contents()
    return texts


def column(page: Any, title: str) -> int:
    heads: list[str] = page.locator("#table thead th").all_text_contents()
    return next(i for i, head in enumerate(heads) if head.startswith(title)) + 1


def test_figures_are_those_of_the_json(page: Any, rows: dict[str, Any]) -> None:
    at = column(page, "at 0.25")
    for name in ("snapkv@kvpress", "adakv@kvpress(snapkv@kvpress)", "kvzip@kvpress", "oracle"):
        row = page.locator("#table tbody tr", has=page.locator(f'.name:text-is("{name}")'))
        assert row.locator(f"td:nth-child({at})").text_content() == f"{rows[name]['splits']['test']['0.25']:.4f}"
    assert "200 of 200 rows" in page.locator("#table caption").text_content()


def test_sorting_is_within_each_class(page: Any) -> None:
    before = names(page)
    page.get_by_role("button", name="at 0.75").click()
    at = column(page, "at 0.75")
    head = page.locator(f"#table thead th:nth-child({at})")
    assert head.get_attribute("aria-sort") == "ascending"
    cells = page.locator(f"#table tbody:nth-of-type(1) tr:not(.class) td:nth-child({at})").all_text_contents()
    assert [float(cell) for cell in cells] == sorted(float(cell) for cell in cells)
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert page.evaluate("document.activeElement.dataset.focus") == "sort at:3"
    assert sorted(names(page)) == sorted(before)
    titles = page.locator("#table tr.class").all_text_contents()
    assert [title.split(";")[0] for title in titles] == [
        "uniform budgets", "head budgets", "model budgets", "model budgets and two passes",
    ]  # fmt: skip


def test_filters_choose_rows(page: Any) -> None:
    page.get_by_role("searchbox").fill("window_attn snap")
    assert set(names(page)) == {"snapkv@kvpress"}
    assert page.evaluate("document.activeElement.type") == "search"
    page.get_by_role("searchbox").fill("")
    page.get_by_label("published alone").check()
    assert "mine_3" not in names(page) and "tova@kvpress" in names(page)
    page.get_by_label("head", exact=True).uncheck()
    assert "head budgets" not in " ".join(page.locator("#table tr.class").all_text_contents())
    page.get_by_label("calibrated or not").select_option("true")
    assert set(names(page)) & {"triattention@paper", "tova@kvpress"} == {"triattention@paper"}


def test_details_tell_rule_columns_and_command(page: Any) -> None:
    page.get_by_label("details of snapkv@kvpress", exact=True).press("Enter")
    text = page.locator("#table tr.details").text_content()
    assert "window_attn" in text and "evictlab bench --suite smollm2 --scorers snapkv@kvpress" in text
    page.get_by_label(f"details of ={LONG}", exact=True).press("Enter")
    codes = page.locator("#table tr.details pre").all_text_contents()
    assert codes[codes.index(LONG) + 1] == "window_attn:64"


def test_pointing_at_a_chart_names_the_row(page: Any) -> None:
    chart = page.locator("#charts figure").first
    dot = chart.locator('[aria-label="dot"] circle').first
    dot.scroll_into_view_if_needed()
    dot.hover(force=True)
    page.wait_for_function("document.querySelector('#charts [aria-label=\"tip\"] text') !== null")
    assert "at 0.10" in chart.locator('[aria-label="tip"]').text_content()
    lines = chart.locator('[aria-label="line"]').last.locator("path")
    shown = page.locator("#table input:checked").count()
    assert lines.count() == shown
    page.get_by_label("show oracle in the charts").click()
    assert lines.count() == shown - 1
    assert page.locator("#charts figure").count() == 3


def test_another_figure_shows_its_own(page: Any, rows: dict[str, Any]) -> None:
    page.get_by_label("figure", exact=True).select_option(label="attention loss")
    assert "share of the attention" in page.locator("#table caption").text_content()
    row = page.locator("#table tbody tr", has=page.locator('.name:text-is("tova@kvpress")'))
    at = column(page, "at 0.10")
    expected = rows["tova@kvpress"]["measures"]["attention_loss"]["test"]["0.10"]
    assert row.locator(f"td:nth-child({at})").text_content() == f"{expected:.4f}"


def test_hostile_names_are_text(page: Any) -> None:
    shown = [name for name in names(page) if "onerror" in name]
    assert len(shown) == 1 and "<b>bold</b>" in shown[0]
    assert page.locator("img").count() == 0 and page.locator("b").count() == 0
    assert page.title() == "Evictlab leaderboard"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast(browser: Any, page_file: Path, scheme: str) -> None:
    """WCAG 2.2 AA, 1.4.3: 4.5 to 1 for text, on the page and on its panels."""
    page = browser.new_page(color_scheme=scheme)
    page.goto(page_file.as_uri())
    colours = page.evaluate(
        "Object.fromEntries(['page','panel','ink','faint','link','win','c0','c1','c2','c3','c4','c5','c6','c7'].map("
        "(name) => [name, getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim()]))"
    )

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for ground in ("page", "panel"):
        for text in colours.keys() - {"page", "panel"}:
            light, dark = sorted((luminance(colours[ground]), luminance(colours[text])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ground, text, scheme)
    page.close()


@pytest.fixture(scope="module")
def run_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    program = Lab().library.program
    options = ["--suite", "micro", "--seq-len", "24", "--layers", "2", "--patterns", "2", "--population", "30"]
    command: list[str | Path] = [
        program,
        "evolve",
        *options,
        "--generations",
        "6",
        "--seed",
        "3",
        "--quiet",
        "--state",
        "run.json",
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    subprocess.run([program, "report", "--state", "run.json", "--output", "run.html"], check=True, cwd=folder)
    return folder / "run.html"


def test_a_runs_story_shows_its_champions_and_what_changed(browser: Any, run_page: Path) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(run_page.as_uri())
    log = page.evaluate("page.runs[0].log")
    champions = log["champions"]
    assert len(champions) > 1
    summaries = page.locator("#champions summary code").all_text_contents()
    assert summaries == [champion["id"] for champion in reversed(champions)]
    last = page.locator("#champions details").first
    assert last.get_attribute("open") is not None
    before = next(champion for champion in champions if champion["id"] == champions[-1]["from"])
    changed = last.locator("pre").first
    assert (
        changed.evaluate("e => [...e.querySelectorAll('span,ins')].map(x => x.textContent).join('')")
        == champions[-1]["formula"]
    )
    assert (
        changed.evaluate("e => [...e.querySelectorAll('span,del')].map(x => x.textContent).join('')")
        == before["formula"]
    )
    first = page.locator(f"[id='champion-{champions[0]['id']}']")
    assert first.get_attribute("open") is None
    page.locator(
        f"#charts a[href='#champion-{champions[0]['id']}'], #charts a[*|href='#champion-{champions[0]['id']}']"
    ).first.dispatch_event("click")
    page.wait_for_function("id => document.getElementById(id).open", arg=f"champion-{champions[0]['id']}")
    rows = page.locator("#operators tbody tr").count()
    assert rows == len(log["operators"])
    assert problems == []
    context.close()
