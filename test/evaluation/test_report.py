# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report in a real browser: an hour of frames, every utterance there, zoom, no network, light and dark."""

import time

import numpy as np
import pytest

from videollm_ros.evaluation.annotations import AnnotatedEvent
from videollm_ros.evaluation.encoder import thumbnail
from videollm_ros.evaluation.report.page import write_report
from videollm_ros.evaluation.results import describe_scoring, make_metrics, make_result
from videollm_ros.evaluation.scores.judged import ScoreSettings
from videollm_ros.evaluation.transcript import Decision, Said, Transcript

pytestmark = pytest.mark.slow

HOUR = 3600.0
HOSTILE = '</script><img src=x onerror="document.title=1"><b>bold</b> & "quoted"'


def an_hour() -> tuple[Transcript, list[AnnotatedEvent]]:
    """7,200 frames with 600 events and every kind of utterance."""
    rng = np.random.default_rng(0)
    events = [AnnotatedEvent(6.0 * i + 3, f"Event {i} happens.") for i in range(600)]
    transcript = Transcript("an hour", end=round(HOUR * 1e9), frame_id="camera")
    said = {}
    for i, event in enumerate(events):
        if i % 10 == 0:
            continue  # missed
        late = 2.5 if i % 10 == 1 else -2.5 if i % 10 == 2 else 0.5
        said[round((event.time + late) * 2)] = f"event {i} happens" if i % 10 != 3 else "Something else."
        if i % 10 == 4:
            said[round((event.time + 1.5) * 2)] = event.text  # again
    picture = rng.integers(0, 256, (96, 128, 3), np.uint8)
    for index in range(7200):
        stamp, moment = index * 500_000_000, index / 2
        probability = float(rng.uniform(0.8, 1.0) if index in said else rng.beta(1, 30))
        decision = "speaks" if index in said else "silent"
        transcript.decisions.append(Decision(stamp, moment, 0, probability, 0.725, decision))
        transcript.thumbnails[0, moment] = thumbnail(picture)
        if index in said:
            transcript.utterances.append(Said(stamp, moment, said[index], speak_probability=probability))
    transcript.utterances.append(Said(0, 0.0, HOSTILE, query="What is it?"))
    return transcript, events


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    transcript, events = an_hour()
    settings = ScoreSettings()
    result = make_result(transcript, events, [], settings)
    provenance = {
        "settings": {"threshold": 0.725, **describe_scoring(settings)},
        "checkpoint": {"name": "made up"},
        "versions": {},
    }
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(result, make_metrics([result], settings, provenance), path)
    return path, result


@pytest.fixture
def open_page(browser, report):
    """Open the report and collect what goes wrong in it."""
    pages = []

    def open_one(width=1280, scheme="light", until="complete"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        page.troubles = []
        page.on("console", lambda message: page.troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.requests = []
        page.goto(report[0].as_uri())
        page.wait_for_selector(f"body[data-{until}=true]", timeout=60_000)
        return page

    yield open_one
    for page in pages:
        page.close()


def test_an_hour_fits_into_a_page_of_15_mb(report):
    assert report[0].stat().st_size < 15 * 2**20


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_opens_without_errors_and_without_network_and_fits_the_window(open_page, width, scheme):
    page = open_page(width, scheme)
    assert page.troubles == []
    assert [url for url in page.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in ground[4:-1].split(",")) > 3 * 128
    assert light == (scheme == "light")


def test_all_utterances_and_events_are_in_the_page(open_page, report):
    page, result = open_page(), report[1]
    assert page.locator("#marks tr[data-lane=said]").count() == len(result.transcript.proactive)
    assert page.locator("#marks tr[data-lane=happened]").count() == len(result.events)
    drawn = page.evaluate("document.getElementById('timeline').data.map((t) => [t.name, (t.customdata || []).length])")
    counts = dict(drawn)
    assert counts["matched"] == 2 * result.counts.totals["matched"]
    assert counts["repeated"] == result.counts.totals["repeated"] == 60
    assert counts["late"] == 2 * result.counts.totals["late"] and counts["early"] == 2 * result.counts.totals["early"]
    shapes = page.evaluate(
        "document.getElementById('timeline').data.filter((t) => t.marker).map((t) => t.marker.symbol)"
    )
    colors = page.evaluate(
        "document.getElementById('timeline').data.filter((t) => t.marker).map((t) => t.marker.color)"
    )
    assert len(set(shapes)) == len(shapes) >= 6 and len(set(colors)) >= 5


def test_the_bars_of_the_time_differences_are_all_matched_utterances(open_page, report):
    page, result = open_page(), report[1]
    x, y = page.evaluate("(() => { const t = document.querySelector('.pair .plot').data[0]; return [t.x, t.y] })()")
    assert sum(y) == result.counts.totals["matched"]
    assert {round(at, 6) for at, count in zip(x, y, strict=True) if count} == {0.5}


def test_text_from_outside_stays_text(open_page):
    page = open_page()
    assert page.title() != "1"
    assert page.locator("#marks tr[data-lane=answers] td.text div").first.text_content() == HOSTILE


def visible(page):
    return page.evaluate("document.getElementById('timeline')._fullLayout.xaxis.range")


def test_scrolling_zooms_and_dragging_moves(open_page):
    page = open_page()
    box = page.locator("#timeline .nsewdrag").first.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    whole = visible(page)
    page.mouse.move(*middle)
    for _ in range(8):
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(60)
    page.wait_for_timeout(400)
    near = visible(page)
    assert near[1] - near[0] < 0.5 * (whole[1] - whole[0])
    page.mouse.down()
    page.mouse.move(middle[0] - 200, middle[1], steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)
    moved = visible(page)
    assert moved[0] > near[0] and moved[1] - moved[0] == pytest.approx(near[1] - near[0], rel=0.01)


def test_pointing_at_an_utterance_shows_its_frame_and_a_row_leads_to_it(open_page):
    page = open_page()
    row = page.locator("#marks tr[data-lane=said]").last  # a late one has its own frame as well
    text = row.locator("td.text div").first.text_content()
    row.click()
    page.wait_for_timeout(300)
    begin, end = visible(page)
    assert end - begin <= 30.1
    assert page.locator(".frame .words").text_content() == text
    assert page.locator(".frame img").get_attribute("src").startswith("data:image/jpeg;base64,")
    time = float(row.locator("td.number").text_content().removesuffix(" s"))
    assert time > 3500 and page.locator(".frame img").get_attribute("alt") == f"The frame at {time:.2f} s"
    assert page.locator(".frame figcaption.other").count() == 0


def test_an_hour_is_drawn_and_answers_in_two_seconds_of_a_machine_that_is_free(open_page):
    """A busy machine takes longer, so only a multiple of it fails."""
    began = time.monotonic()
    page = open_page(until="ready")
    assert time.monotonic() - began < 30
    began = time.monotonic()
    page.get_by_role("button", name="30 s", exact=True).click()
    while np.diff(visible(page)) >= 31:  # the page's policy forbids the eval of wait_for_function
        assert time.monotonic() - began < 10
        page.wait_for_timeout(20)
