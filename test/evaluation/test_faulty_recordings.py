# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings, annotations and options that are partly of no use: what can be used is, and the rest is named."""

import argparse
import json
import shutil
import sqlite3

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotationError, read_events
from videollm_ros.evaluation.compare import compare_metrics
from videollm_ros.evaluation.fitting import events_outside
from videollm_ros.evaluation.opened import open_recordings
from videollm_ros.evaluation.option_ranges import check_numbers
from videollm_ros.evaluation.recording import BagRecording
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.media.bags import Bag, BagError


def write(simulated_bags, path, cut=(), count=12, storage=StoragePlugin.MCAP, zstd=False):
    """Write a bag of grey images at 2 Hz. The messages in `cut` hold 20 bytes alone."""
    picture = np.full((48, 64, 3), 128, np.uint8)
    types = simulated_bags.TYPES
    writer = Writer(path, version=9, storage_plugin=storage)
    if zstd:
        writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/camera", "sensor_msgs/msg/Image", typestore=types)
        for index in range(count):
            stamp = simulated_bags.START + index * 500_000_000
            message = simulated_bags.image_message(picture, stamp)
            data = bytes(types.serialize_cdr(message, message.__msgtype__))
            writer.write(connection, stamp, data[:20] if index in cut else data)
    return path


def test_a_message_that_cannot_be_read_is_left_out_and_noted(evaluate, simulated_bags, tmp_path):
    bag = write(simulated_bags, tmp_path / "bag", cut=(3, 5))
    code, _, errors = evaluate("bag", bag, "--output", tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert code == 0 and metrics["frames"] == 10
    assert "2 messages of the recording cannot be read" in errors and "number 3 of /camera" in errors
    assert "2 messages of the recording" in metrics["recordings"][0]["notes"][0]
    code, _, errors = evaluate(
        "bag", write(simulated_bags, tmp_path / "none", cut=range(12)), "--output", tmp_path / "x"
    )
    assert code == 2 and "12 messages of the recording cannot be read" in errors
    with pytest.raises(BagError, match="past message 3"):
        list(BagRecording(bag).images())


def test_a_bag_that_breaks_off_gives_what_came_before(evaluate, simulated_bags, tmp_path):
    bag = write(simulated_bags, tmp_path / "bag", storage=StoragePlugin.SQLITE3, zstd=True)
    (file,) = bag.glob("*.db3")
    with sqlite3.connect(file) as database:
        database.execute("UPDATE messages SET data = x'00' WHERE id = 8")
    database.close()
    code, _, errors = evaluate("bag", bag, "--output", tmp_path / "out")
    assert code == 1 and "The recording breaks off after message" in errors, errors
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["frames"] == 7
    with pytest.raises(BagError, match="past message 7"):
        list(BagRecording(bag).images())


def test_what_is_there_instead_of_a_bag_is_listed_with_what_to_do(simulated_bags, tmp_path):
    bag = write(simulated_bags, tmp_path / "bags" / "kitchen")
    killed = tmp_path / "killed"
    shutil.copytree(bag, killed)
    (killed / "metadata.yaml").unlink()
    (tmp_path / "empty").mkdir()
    cut = tmp_path / "cut"
    shutil.copytree(bag, cut)
    (file,) = cut.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:-2000])
    for path, sentence in [
        (tmp_path / "empty", "the folder is empty"),
        (tmp_path / "bags", f"it is a folder of recordings. Name them: {bag}."),
        (killed, f"It holds kitchen.mcap. Pass {killed / 'kitchen.mcap'}, or write the missing file: ros2 bag reindex"),
        (cut, "repair it with mcap recover"),
        (file, f"It is a file of {file.stat().st_size} bytes."),
    ]:
        with pytest.raises(BagError) as caught:
            Bag(path)
        assert sentence in str(caught.value)
    assert len(list(BagRecording(killed / "kitchen.mcap").images())) == 12
    with Bag(bag) as opened, pytest.raises(BagError, match=r"Its std_msgs/String topics: none"):
        opened.text_topic()


def given(*recordings, command="bag"):
    options = {"topic": "", "query_topic": None, "stamps": "header", "rate": 0.0}
    return argparse.Namespace(command=command, recordings=list(recordings), **options)


def test_recordings_are_named_after_folders_with_as_much_of_the_path_as_tells_them_apart(simulated_bags, tmp_path):
    paths = ("run_1.5", "run_1.6", "a/bag", "b/bag")
    bags = [write(simulated_bags, tmp_path / path, count=2) for path in paths]
    assert [each.name for each in open_recordings(given(*bags)).opened] == list(paths)
    with pytest.raises(ValueError, match="given twice"):
        open_recordings(given(bags[0], tmp_path / "a" / ".." / "run_1.5"))
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        open_recordings(given(tmp_path.__class__("/dev/null"), command="video"))


def test_bags_of_the_same_name_get_folders_annotations_and_queries_each(evaluate, simulated_bags, tmp_path):
    bags = [write(simulated_bags, tmp_path / site / "bag", count=4) for site in ("a", "b")]
    for site in ("a", "b"):
        (tmp_path / "notes" / site).mkdir(parents=True)
        (tmp_path / "notes" / site / "bag.jsonl").touch()
        (tmp_path / "asked" / site).mkdir(parents=True)
    (tmp_path / "asked" / "a" / "bag.jsonl").write_text('{"time": 1, "text": "What is on the table?"}\n')
    (tmp_path / "asked" / "b" / "bag.jsonl").touch()
    options = ("--annotations", tmp_path / "notes", "--queries", tmp_path / "asked", "--output", tmp_path / "out")
    assert evaluate("bag", *bags, *options)[0] == 0
    assert "What is" in (tmp_path / "out" / "a" / "bag" / "utterances.jsonl").read_text()
    assert (tmp_path / "out" / "b" / "bag" / "utterances.jsonl").read_text() == ""
    settings = json.loads((tmp_path / "out" / "metrics.json").read_text())["settings"]
    assert settings["topic"] == "/camera" and settings["annotations"].startswith("notes, sha256 ")
    assert settings["queries"].startswith("asked, sha256 ")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"time": 1e12, "text": "A."}', "up to 4e+09, not 1000000000000.0"),
        ('{"time": 1e300, "text": "A."}', "not 1e+300"),
        ('{"time": %s, "text": "A."}' % ("9" * 400), "not 9999"),
        ('{"time": %s, "text": "A."}' % ("9" * 5000), "line 2"),
        ('{"time": NaN, "text": "A."}', "not NaN"),
        ('{"time": 1, "end": Infinity, "text": "A."}', "end is a number of seconds"),
        (r'{"time": 1, "text": "\ud800"}', "half a character"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_line_that_is_of_no_use_is_named(tmp_path, line, sentence):
    (tmp_path / "events.jsonl").write_text('{"time": 1, "text": "A."}\n' + line + "\n")
    with pytest.raises(AnnotationError, match="line 2") as caught:
        read_events(tmp_path / "events.jsonl")
    assert sentence in str(caught.value) and len(str(caught.value)) < 400


def test_a_line_of_json_may_hold_other_line_separators(tmp_path):
    text = "A cup\u2028and\u0085a\x1cbox."
    (tmp_path / "events.jsonl").write_text(
        json.dumps({"time": 1, "text": text}, ensure_ascii=False).replace("\\u001c", "\x1c").replace("\x1c", "\\u001c")
        + "\r\n"
        + '{"time": 2, "text": "B."}\r\n'
    )
    assert [event.text for event in read_events(tmp_path / "events.jsonl")] == [text, "B."]


def test_events_that_no_image_shows_are_counted():
    transcript = Transcript("bag", end=100 * 10**9, spans=[(0.0, 20.0), (80.0, 100.0)])
    events = [AnnotatedEvent(time, "A.") for time in (-5.0, 3.0, 50.0, 100.5, 1.7e9)]
    before, behind, between = events_outside(transcript, events)
    assert before == "1 of 5 events lies before the first image at 0.0 s, and cannot be told."
    assert behind.startswith("2 of 5 events lie behind the last image at 100.0 s") and "Unix times" in behind
    assert between == "1 of 5 events lies where no images were recorded, and cannot be told."
    assert events_outside(transcript, [AnnotatedEvent(15.0, "A.", end=90.0), AnnotatedEvent(20.0, "B.")]) == []


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("rate", (-1.0, 1e9, float("nan"))),
        ("fps", (-1.0, 1e9)),
        ("repeat_window", (-1.0, float("inf"))),
        ("false_alarms", (float("nan"), -1.0, float("inf"))),
        ("max_gap", (float("inf"), 0.0, -1.0)),
        ("max_new_tokens", (0, -5)),
        ("tolerance", (float("nan"), -1.0)),
        ("window", (-1,)),
    ],
)
def test_numbers_that_make_no_sense_are_refused(option, values):
    for value in values:
        with pytest.raises(ValueError, match=f"--{option.replace('_', '-')} .* is expected"):
            check_numbers(argparse.Namespace(**{option: value}))
    check_numbers(argparse.Namespace(**{option: 1}))


def metrics(*recordings):
    events = [{"time": 1.0, "text": "A."}]
    held = [
        {
            "name": name,
            "begin": begin,
            "end": begin + 10,
            "events": events,
            "judgments": [],
            "parts": {"event_f1": [1, 2]},
        }
        for name, begin in recordings
    ]
    return {"recordings": held, "settings": {}, "checkpoint": {}}


def test_results_are_paired_by_name_and_first_stamp():
    assert compare_metrics(metrics(("kitchen", 5)), metrics(("kitchen", 5)))["recordings"] == ["kitchen"]
    assert compare_metrics(metrics(("kitchen", 5)), metrics(("kitchen_db3", 5)))["recordings"] == ["kitchen"]
    with pytest.raises(ValueError, match="not the same recording"):
        compare_metrics(metrics(("kitchen", 5)), metrics(("kitchen", 7)))
    with pytest.raises(ValueError, match="No annotated recording is in both"):
        compare_metrics(metrics(("one", 0)), metrics(("other", 0)))  # two videos, whose clocks begin at 0


def test_the_progress_bar_knows_how_long_a_bag_and_a_video_are(simulated_bags, tmp_path, videos_of_two_seconds):
    (bag,) = open_recordings(given(write(simulated_bags, tmp_path / "bag"))).opened
    assert bag.stated_seconds == pytest.approx(5.5)
    (video,) = open_recordings(given(videos_of_two_seconds, command="video")).opened
    assert video.stated_seconds == pytest.approx(2.0, abs=0.3)


@pytest.fixture
def videos_of_two_seconds(tmp_path):
    from videollm_ros.sim import Tabletop
    from videollm_ros.sim.video import write_video

    write_video(Tabletop(9003, seconds=2.0), tmp_path / "table.mp4", fps=10.0)
    return tmp_path / "table.mp4"


def test_annotations_are_read_before_a_model_of_similarity_is_looked_for(evaluate, simulated_bags, tmp_path):
    bag = write(simulated_bags, tmp_path / "bag", count=2)
    command = ("bag", bag, "--match", "similarity", "--similarity-model", "none/such", "--output", tmp_path / "out")
    code, _, errors = evaluate(*command, "--annotations", tmp_path / "missing.jsonl")
    assert code == 2 and "missing.jsonl cannot be read" in errors


def test_a_matcher_that_cannot_read_an_event_says_so_before_the_model_loads(evaluate, simulated_bags, tmp_path):
    (tmp_path / "events.jsonl").write_text('{"time": 1, "text": "The kettle boils."}\n')
    bag = write(simulated_bags, tmp_path / "bag", count=4)
    command = ("bag", bag, "--match", "simulator", "--annotations", tmp_path / "events.jsonl")
    code, _, errors = evaluate(*command, "--checkpoint", tmp_path / "none", "--output", tmp_path / "out")
    assert code == 2 and "is no event of the simulator" in errors
