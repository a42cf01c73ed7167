# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The timeline of a report: every utterance with its own frame, streams apart, queries, and narrow windows."""

from dataclasses import replace

import numpy as np
import pytest

from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotatedQuery
from videollm_ros.evaluation.encoder import thumbnail
from videollm_ros.evaluation.report import timeline as module
from videollm_ros.evaluation.report.page import write_report, write_summary
from videollm_ros.evaluation.report.timeline import timeline
from videollm_ros.evaluation.results import describe_scoring, make_metrics, make_result
from videollm_ros.evaluation.scores.judged import ScoreSettings
from videollm_ros.evaluation.transcript import Decision, Said, Transcript

LONG = "You put the red cup into the blue box and then take it out again."
SETTINGS = ScoreSettings()
PROVENANCE = {
    "settings": {"threshold": 0.725, **describe_scoring(SETTINGS)},
    "checkpoint": {"name": "made up"},
    "versions": {},
}


def recorded(name, streams, said=(), thumbnails=True):
    """A transcript at 2 FPS. `streams`: (first, last) second of each. `said`: (number of the frame, text, query)."""
    transcript = Transcript(name, end=round(max(end for _, end in streams) * 1e9))
    transcript.spans = [(float(begin), float(end)) for begin, end in streams]
    for number, (begin, end) in enumerate(streams):
        for time in np.arange(begin, end + 0.25, 0.5).tolist():
            stamp, probability = round(time * 1e9), 0.001 * len(transcript.decisions)
            transcript.decisions.append(Decision(stamp, time, number, probability, 0.725, "silent"))
            if thumbnails:
                shade = np.full((9, 12, 3), round(40 * number + time) % 256, np.uint8)
                transcript.thumbnails[number, time] = thumbnail(shade)
    for frame, text, query in said:
        at = transcript.decisions[frame] = replace(transcript.decisions[frame], decision="speaks")
        transcript.utterances.append(Said(at.stamp, at.time, text, query))
    return transcript


def result_of(transcript, events=None, queries=()):
    return make_result(transcript, events, queries, SETTINGS)


@pytest.fixture
def opened(browser, tmp_path):
    """Write the report of a result, or the summary of several, and open it."""
    pages = []

    def open_one(*results, width=1280):
        path = tmp_path / f"{len(pages)}.html"
        metrics = make_metrics(results, SETTINGS, PROVENANCE)
        if len(results) == 1:
            write_report(results[0], metrics, path)
        else:
            write_summary(results, metrics, path)
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        page.troubles = []
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-complete=true]", state="attached", timeout=60_000)
        return page

    yield open_one
    for page in pages:
        assert page.troubles == []
        page.close()


def axis(page):
    return page.evaluate(
        "(() => { const x = document.getElementById('timeline')._fullLayout.xaxis;"
        " return [...x.range, x.minallowed, x.maxallowed] })()"
    )


def pictured(section):
    return section["pictures"]["frames"]


def test_every_utterance_has_its_own_frame_before_any_event_or_other_frame_has(monkeypatch):
    transcript = recorded("long", [(0, 300)], [(n, f"Sentence {n}.", None) for n in range(0, 600, 3)])
    events = [AnnotatedEvent(t + 0.25, f"Event {t}.") for t in range(300)]
    sizes = [len(transcript.thumbnails[0, said.time]) for said in transcript.utterances]
    monkeypatch.setattr(module, "_PICTURE_BYTES", sum(sizes))
    assert pictured(timeline(result_of(transcript, events))) == list(range(0, 600, 3))


def test_where_the_room_ends_the_frames_are_spread_over_the_whole_recording(monkeypatch):
    transcript = recorded("long", [(0, 300)], [(n, f"Sentence {n}.", None) for n in range(601)])
    monkeypatch.setattr(module, "_PICTURE_BYTES", 40 * len(transcript.thumbnails[0, 0.0]))
    frames = pictured(timeline(result_of(transcript)))
    assert len(frames) >= 35 and max(frames) > 560 and max(np.diff(frames)) <= 40


def test_frames_of_streams_that_lie_over_each_other_are_told_apart():
    transcript = recorded("again", [(0, 10), (5, 15)], [(12, "First.", None), (31, "Then.", None)])
    section = timeline(result_of(transcript, [AnnotatedEvent(6.0, "First.")]))
    assert [mark["frame"] for mark in section["marks"] if mark["lane"] == "said"] == [12, 31]
    pictures = dict(zip(section["pictures"]["frames"], section["pictures"]["jpegs"], strict=True))
    assert pictures[20] != pictures[31]  # both at 10 s
    assert section["starts"] == [0, 21] and section["spans"] == [[0, 10], [5, 15]]


def test_the_frame_of_an_event_is_the_first_that_can_show_it():
    section = timeline(result_of(recorded("one", [(0, 10)]), [AnnotatedEvent(4.1, "Now."), AnnotatedEvent(500.0, "?")]))
    assert [mark["frame"] for mark in section["marks"]] == [9, 20]


def test_queries_stand_at_their_own_time_also_those_that_nobody_answers():
    transcript = recorded("asked", [(0, 20)], [(10, "A cup.", "What is it?"), (30, "A box.", "What is it?")])
    transcript.utterances = [replace(a, asked=t) for a, t in zip(transcript.utterances, (4.8, 14.7), strict=True)]
    queries = [AnnotatedQuery(14.7, "What is it?"), AnnotatedQuery(4.8, "What is it?"), AnnotatedQuery(18, "Why?")]
    section = timeline(result_of(transcript, queries=queries))
    asked = [mark for mark in section["marks"] if mark["lane"] == "asked"]
    assert [(mark["time"], mark["outcome"]) for mark in asked] == [
        (14.7, "asked"),
        (4.8, "asked"),
        (18, "unanswered"),
    ]
    answers = [mark for mark in section["marks"] if mark["lane"] == "answers"]
    assert [section["marks"][mark["partner"]]["time"] for mark in answers] == [4.8, 14.7]


@pytest.mark.slow
def test_a_frame_that_is_not_the_one_pointed_at_says_its_own_time(opened, monkeypatch):
    transcript = recorded("few", [(0, 100)], [(40, "One.", None), (160, "Two.", None)])
    del transcript.thumbnails[0, 80.0]
    monkeypatch.setattr(module, "_PICTURE_BYTES", len(transcript.thumbnails[0, 20.0]))
    page = opened(result_of(transcript))
    assert page.locator(".frame figcaption").text_content() == "Frame at 00:20.00"
    page.locator("#marks tr[data-lane=said]").last.click()
    assert page.locator(".frame figcaption.other").is_visible()
    assert page.locator(".frame figcaption").text_content() == "Another frame: 00:20.00, 60.00 s before"


@pytest.mark.slow
def test_the_axis_reaches_from_the_first_to_the_last_of_all_streams_also_before_the_first_image(opened):
    page = opened(result_of(recorded("far", [(0, 19.5), (-60, -40.5)], [(50, LONG, None)])))
    low, high, lowest, highest = axis(page)
    assert low < -60 and lowest < -60 and 19.5 < high < 25 and 19.5 < highest < 25
    assert page.locator(".frame .facts").first.text_content() == "-00:55.00 (-55.00 s)"
    assert "stream 2 of 2" in page.locator(".frame").text_content()
    shapes = page.evaluate("document.getElementById('timeline').layout.shapes")
    assert [(s["x0"], s["x1"]) for s in shapes if s["type"] == "rect"] == [(-40.5, 0)]  # nobody watched then
    assert [s["x0"] for s in shapes if s["line"].get("dash") == "dash"] == [-60]


@pytest.mark.slow
def test_streams_that_lie_over_each_other_are_lines_of_different_colors(opened):
    page = opened(result_of(recorded("again", [(0, 10), (5, 15)])))
    lines = page.evaluate(
        "document.getElementById('timeline').data.filter((t) => t.fill).map((t) => [t.x[0], t.x.at(-1), t.line.color])"
    )
    assert [line[:2] for line in lines] == [[0, 10], [5, 15]] and lines[0][2] != lines[1][2]


@pytest.mark.slow
def test_an_event_far_behind_the_recording_does_not_squeeze_it_and_can_be_reached(opened):
    page = opened(result_of(recorded("late", [(0, 20)]), [AnnotatedEvent(500.0, "Too late.")]))
    low, high, _, highest = axis(page)
    assert low > -1 and high < 21 and highest > 500


@pytest.mark.slow
def test_a_recording_of_which_no_frame_was_kept_opens(opened):
    assert opened(result_of(recorded("none", [(0, 5)], [(3, LONG, None)], thumbnails=False))).title()


@pytest.mark.slow
def test_the_end_of_an_event_is_drawn_and_written(opened):
    page = opened(result_of(recorded("one", [(0, 20)]), [AnnotatedEvent(4, LONG, 9.5)]))
    spans = page.evaluate("document.getElementById('timeline').data.find((t) => t.name === 'spans').x")
    assert spans[:2] == [4, 9.5]
    assert page.locator("#marks tr .facts").text_content() == "until 9.50 s"


def cut_off(page):
    """What of the cells does not show in its box, in pixels."""
    return page.evaluate(
        "Math.max(0, ...[...document.querySelectorAll('.scroll')].flatMap((box) =>"
        " [...box.querySelectorAll('td')].map((td) => Math.max(td.scrollWidth - td.clientWidth,"
        " td.getBoundingClientRect().right - box.getBoundingClientRect().right))))"
    )


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 700, 400])
def test_no_cell_of_a_table_is_cut_off(opened, width):
    events = [AnnotatedEvent(4.6, LONG)]
    results = [result_of(recorded(f"kitchen_{n}", [(0, 20)], [(10, LONG, None)]), events) for n in range(6)]
    for page in (opened(results[0], width=width), opened(*results, width=width)):
        assert page.locator(".scroll td").count() > 10
        assert cut_off(page) <= 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_a_table_is_a_table_again_when_the_window_gets_wider(opened):
    results = [result_of(recorded(f"kitchen_{n}", [(0, 20)]), [AnnotatedEvent(4.6, LONG)]) for n in range(6)]
    page = opened(*results, width=400)
    assert page.locator("table.stacked").count() > 0
    page.set_viewport_size({"width": 1280, "height": 900})
    page.locator("table.stacked").first.wait_for(state="detached", timeout=10_000)
