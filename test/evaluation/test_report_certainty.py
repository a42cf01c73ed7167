# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a page says beside the timeline: certainty at the ceiling, notes and links of a summary, labels of a curve."""

import json
import re
from html import unescape
from urllib.parse import unquote

import pytest

from videollm_ros.evaluation.annotations import AnnotatedEvent
from videollm_ros.evaluation.report.certainty import figure, tile
from videollm_ros.evaluation.report.curve import curve_labels, threshold_curve
from videollm_ros.evaluation.report.page import write_summary
from videollm_ros.evaluation.results import make_metrics, make_result
from videollm_ros.evaluation.scores.judged import ScoreSettings
from videollm_ros.evaluation.transcript import Said, Transcript

SETTINGS = ScoreSettings()
PROVENANCE = {"settings": {"threshold": 0.7, "tolerance": 1.0}, "checkpoint": {"name": "made up"}, "versions": {}}


def perfect(name, events=3):
    """A minute in which every event is told half a second late."""
    happened = [AnnotatedEvent(10.0 + 10 * number, f"Event {number}.") for number in range(events)]
    transcript = Transcript(name, end=60 * 10**9)
    transcript.utterances = [Said(round((each.time + 0.5) * 1e9), each.time + 0.5, each.text) for each in happened]
    return make_result(transcript, happened, [], SETTINGS)


def sections(path):
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(unescape(data[1]))["sections"]


def test_a_share_without_an_error_names_its_count_and_wilsons_bound():
    metrics = make_metrics([perfect(f"r{n}", events=3 + (n < 3)) for n in range(6)], SETTINGS, PROVENANCE)
    assert metrics["event_recall"] == {"value": 1.0, "interval": [1.0, 1.0]}
    # n of n: the lower bound is n / (n + z^2), with z = 1.96
    assert tile("event_recall", "recall", metrics)["small"] == "21 of 21: at least 0.845"
    assert tile("event_f1", "F1", metrics)["small"] == "21 of 21: at least 0.845"
    assert figure("repeat_rate", metrics) == "0.000 (0 of 21: at most 0.155)"


def test_a_rate_without_an_error_names_its_minutes_and_poissons_bound():
    metrics = make_metrics([perfect(f"r{n}") for n in range(6)], SETTINGS, PROVENANCE)
    # Each minute has three events of 2 s. Without an event in T minutes the upper bound is -ln(0.025) / T.
    assert tile("false_per_quiet_minute", "false", metrics)["small"] == "none in 5.4 min: at most 0.683"


def test_what_is_no_share_claims_no_bound_and_a_true_interval_stays():
    metrics = make_metrics([perfect(f"r{n}") for n in range(6)], SETTINGS, PROVENANCE)
    assert figure("mean_time_difference", metrics) == "0.500 (the same everywhere)"
    metrics["event_f1"] = {"value": 0.9, "interval": [0.8, 1.0]}
    assert figure("event_f1", metrics) == "0.900 [0.800, 1.000]"
    assert tile("event_f1", "F1", metrics)["small"] == "95 %: 0.800 to 1.000"
    assert tile("event_f1", "F1", {"event_f1": 1.0}) == {"label": "F1", "value": "1.000", "small": ""}


@pytest.mark.parametrize("name", ["a b#1 100%", "what?", "tür", "<b>&"])
def test_a_summary_leads_to_recordings_of_any_name(tmp_path, name):
    results = [perfect(name), perfect("other")]
    write_summary(results, make_metrics(results, SETTINGS, PROVENANCE), tmp_path / "report.html")
    table = next(each for each in sections(tmp_path / "report.html") if each.get("title") == "Recordings")
    link = table["rows"][0][0]
    assert link["text"] == name and unquote(link["href"]) == f"{name}/report.html"
    assert not set("#?% <") & set(re.sub("%[0-9A-F]{2}", "", link["href"]))


def test_a_summary_tells_the_notes_of_its_recordings_and_which_failed(tmp_path):
    results = [perfect("one"), perfect("two")]
    results[1].transcript.notes.append("The stamps jump back.")
    metrics = make_metrics(results, SETTINGS, PROVENANCE | {"failed": {"three": "It breaks off."}})
    write_summary(results, metrics, tmp_path / "report.html")
    found = sections(tmp_path / "report.html")
    rows = next(each for each in found if each.get("title") == "What is unusual")["rows"]
    assert rows == [["three", "It failed. It breaks off."], ["two", "The stamps jump back."]]
    assert "2 of 3 recordings" in found[0]["text"]


def test_equal_points_of_a_curve_share_a_label():
    points = [(0.0, 0.9), (0.0, 0.9), (0.001, 0.9), (1.0, 0.95), (2.0, 0.5), (0.0, 0.9), (None, 0.4)]
    labels = curve_labels([0, 0.3, 0.7, 0.8, 0.9, 0.99, 0.999], points)
    assert labels == ["0 to 0.7, 0.99", "", "", "0.8", "0.9", "", ""]
    assert curve_labels([0.1, 0.2], [(0.0, 1.0), (0.0, 1.0)]) == ["0.1 to 0.2", ""]
    assert curve_labels([0.1], [(None, 1.0)]) == [""]


def test_every_point_of_a_curve_still_says_its_own_theta():
    assert threshold_curve([0.1, 0.2], [(0.0, 1.0), (0.0, 1.0)])["hovertext"] == ["theta 0.1", "theta 0.2"]
