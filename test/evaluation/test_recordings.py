# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording goes in, a transcript comes out: the same from both storages, and the same as frame by frame."""

import csv
import itertools
import json
from pathlib import Path

import av
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from videollm_ros.assistant import AssistantSettings, StreamSettings
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.recording import BagRecording, VideoRecording
from videollm_ros.evaluation.transcribe import RecordingError, transcribe
from videollm_ros.live import StreamSession
from videollm_ros.media.images import to_rgb
from videollm_ros.sim.video import write_video

DEMO = Path(__file__).parents[2] / "checkpoints" / "demo"
RECORDED_LATE = 30_000_000  # nanoseconds between the stamp and the recording of each image of simulated_bags


@pytest.fixture(scope="module")
def results(bags, tmp_path_factory, simulated_bags):
    """The command on both storages, and again on one of them. The folders need not exist."""
    import sys

    from videollm_ros.evaluation.__main__ import main

    out = tmp_path_factory.mktemp("out")
    runs = {"mcap": "mcap/table", "again": "mcap/table", "sqlite3": "sqlite3/table"}
    with pytest.MonkeyPatch.context() as patch:
        for name, bag in runs.items():
            command = ["bag", bags / bag, "--topic", "/camera/image_raw", "--checkpoint", DEMO, "--query-topic"]
            command += ["--annotations", bags / "events.jsonl", "--output", out / "deep" / name, "--device", "cpu"]
            patch.setattr(sys, "argv", ["videollm-evaluate", *map(str, command)])
            assert main() == 0
    return out / "deep"


def utterances(folder):
    return [json.loads(line) for line in (folder / "utterances.jsonl").read_text().splitlines()]


def test_transcripts_are_byte_identical_between_runs_and_between_storages(results):
    for name in ("utterances.jsonl", "decisions.csv"):
        first = (results / "mcap" / name).read_bytes()
        assert first == (results / "again" / name).read_bytes() == (results / "sqlite3" / name).read_bytes()
        assert len(first.splitlines()) > 4 and b"mcap" not in first


def test_the_demo_checkpoint_tells_what_happens(results, tabletop):
    metrics = json.loads((results / "mcap" / "metrics.json").read_text())
    assert metrics["event_f1"] == metrics["event_precision"] == metrics["event_recall"] == 1.0
    assert metrics["mean_time_difference"] < 0.5 and metrics["false_per_quiet_minute"] == 0.0
    assert metrics["pauc"] > 0.85 and metrics["baselines"]["silence"]["pauc"] == 0.25
    assert metrics["counts"]["events"] == len(tabletop.events) > 2
    assert metrics["answered"] == 1.0
    assert metrics["settings"]["threshold"] == 0.725 and metrics["settings"]["tolerance"] == 1.0
    assert len(metrics["checkpoint"]["sha256"]) == 64 and metrics["versions"]["torch"]


def test_there_is_a_decision_for_every_frame_that_the_node_would_take(results, tabletop):
    rows = list(csv.DictReader((results / "mcap" / "decisions.csv").open()))
    assert len(rows) == tabletop.num_frames(2.0)
    assert [float(row["time"]) for row in rows] == pytest.approx([i / 2 for i in range(len(rows))])
    spoke = [row["time"] for row in rows if row["decision"] == "speaks"]
    said = utterances(results / "mcap")
    assert spoke == [str(each["time"]) for each in said if each["query"] is None]
    # The newest image before the text is the one at 19.9 s. So it is answered before the frame at 20 s is read.
    assert [(each["time"], each["query"]) for each in said if each["query"]] == [(19.5, "What is on the table?")]


def test_offline_and_frame_by_frame_say_the_same(demo_model, bags, simulated_bags, results):
    """What a session says that is given the frames one by one, as the node does."""
    session = StreamSession(demo_model)
    session.ask("What is on the table?", stamp=simulated_bags.START * 1e-9 + 19.9)
    said = []
    with AnyReader([bags / "mcap" / "table"]) as reader:
        connections = [each for each in reader.connections if each.topic == "/camera/image_raw"]
        for connection, _, data in itertools.islice(reader.messages(connections), 0, None, 5):
            image = reader.deserialize(data, connection.msgtype)
            stamp = image.header.stamp.sec + image.header.stamp.nanosec * 1e-9
            said += [(each.text, stamp) for each in session.observe(to_rgb(image), stamp)]
    assert [(each["text"], pytest.approx(float(each["stamp"]))) for each in utterances(results / "mcap")] == said


def test_the_mcap_opens_with_rosbags_alone_and_lies_on_the_recordings_clock(results, bags, tabletop, simulated_bags):
    stamps = {message.header.stamp.sec * 10**9 + message.header.stamp.nanosec for message in images(bags)}
    (path,) = (results / "mcap").glob("*.mcap")
    messages: dict[str, list] = {}
    with AnyReader([path]) as reader:
        kinds = {each.topic: each.msgtype for each in reader.connections}
        for connection, recorded, data in reader.messages():
            messages.setdefault(connection.topic, []).append((recorded, reader.deserialize(data, connection.msgtype)))
    assert kinds["/evaluation/utterance"] == "videollm_ros/msg/AssistantUtterance"
    written = [message for _, message in messages["/evaluation/utterance"]]
    assert [message.text for message in written] == [each["text"] for each in utterances(results / "mcap")]
    assert all(message.final for message in written) and [message.id for message in written] == [
        *range(1, len(written) + 1)
    ]
    assert [message.kind for message in written] == [int(bool(message.query)) for message in written]
    for recorded, message in messages["/evaluation/utterance"]:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        assert recorded == stamp + RECORDED_LATE and stamp in stamps and message.header.frame_id == "camera"
    assert len(messages["/evaluation/speak_probability"]) == tabletop.num_frames(2.0)
    begin = simulated_bags.START + RECORDED_LATE
    told = [(recorded - begin, message.data) for recorded, message in messages["/evaluation/annotation"]]
    assert told == [(pytest.approx(event.time * 1e9, abs=1), event.text) for event in tabletop.events]


def images(bags):
    with AnyReader([bags / "sqlite3" / "table"]) as reader:
        connections = [each for each in reader.connections if each.topic == "/camera/image_raw"]
        for connection, _, data in reader.messages(connections):
            yield reader.deserialize(data, connection.msgtype)


def test_compressed_images_are_read_as_well(demo_model, simulated_bags, tabletop, tmp_path, results):
    messages = simulated_bags.tabletop_messages(tabletop, fps=2.0, topic="/camera/compressed", compressed=True)
    bag = simulated_bags.write_bag(tmp_path / "compressed", messages)
    transcript = transcribe(demo_model, BagRecording(bag))
    expected = [each["text"] for each in utterances(results / "mcap") if each["query"] is None]
    assert [each.text for each in transcript.utterances] == expected


def test_a_video_gives_the_same_narration_as_a_bag(demo_model, tabletop, tmp_path, results):
    write_video(tabletop, tmp_path / "table.mp4", fps=10.0)
    transcript = transcribe(demo_model, VideoRecording(tmp_path / "table.mp4"))
    expected = [each["text"] for each in utterances(results / "mcap") if each["query"] is None]
    assert [each.text for each in transcript.utterances] == expected
    assert transcript.begin == 0 and transcript.seconds == pytest.approx(tabletop.seconds - 0.1)


def still(simulated_bags, stamps, level=128):
    picture = np.full((96, 96, 3), level, np.uint8)
    start = simulated_bags.START
    return [("/camera", start + i, simulated_bags.image_message(picture, stamp)) for i, stamp in enumerate(stamps)]


def test_stamps_that_jump_back_begin_a_new_stream_and_are_said(demo_model, simulated_bags, tmp_path):
    start = simulated_bags.START
    stamps = [start + i * 500_000_000 for i in (0, 1, 2, 3, 0, 1, 2, 90, 91)]
    bag = simulated_bags.write_bag(tmp_path / "bag", still(simulated_bags, stamps))
    transcript = transcribe(demo_model, BagRecording(bag))
    assert [each.stream for each in transcript.decisions] == [0, 0, 0, 0, 1, 1, 1, 2, 2]
    assert [each.stamp for each in transcript.decisions] == stamps
    assert transcript.notes == [
        "The stamps jump back from 1.500 s to 0.000 s: a new stream begins there, as in the node.",
        "The stamps make a gap from 1.000 s to 45.000 s: a new stream begins there, as in the node.",
    ]


def test_images_that_cannot_be_read_are_counted_and_the_rest_goes_on(demo_model, simulated_bags, tmp_path):
    messages = still(simulated_bags, [simulated_bags.START + i * 500_000_000 for i in range(6)])
    messages[2][2].encoding = "nonsense"
    messages[4][2].data = messages[4][2].data[:100]
    transcript = transcribe(demo_model, BagRecording(simulated_bags.write_bag(tmp_path / "bag", messages)))
    assert len(transcript.decisions) == 4 and transcript.counts == {"images": 6, "refused": 2}
    assert "nonsense" in transcript.notes[0]
    for _, _, message in messages:
        message.encoding = "nonsense"
    with pytest.raises(RecordingError, match=r"gives no frame to watch\. Images were refused"):
        transcribe(demo_model, BagRecording(simulated_bags.write_bag(tmp_path / "worse", messages)))


def test_stamps_that_stand_still_are_said_and_the_recorded_times_help(demo_model, simulated_bags, tmp_path):
    picture = simulated_bags.image_message(np.zeros((32, 32, 3), np.uint8), 0)
    messages = [("/camera", simulated_bags.START + i * 500_000_000, picture) for i in range(5)]
    bag = simulated_bags.write_bag(tmp_path / "bag", messages)
    stuck = transcribe(demo_model, BagRecording(bag))
    assert len(stuck.decisions) == 1 and "--stamps recorded" in stuck.notes[0]
    assert len(transcribe(demo_model, BagRecording(bag, stamps="recorded")).decisions) == 5


def test_a_query_before_the_first_image_is_answered_at_it_and_one_behind_the_end_is_said(
    demo_model, simulated_bags, tmp_path
):
    bag = simulated_bags.write_bag(
        tmp_path / "bag", still(simulated_bags, [simulated_bags.START + i * 500_000_000 for i in range(4)])
    )
    queries = [AnnotatedQuery(-3.0, "What is on the table?"), AnnotatedQuery(99.0, "And now?")]
    transcript = transcribe(demo_model, BagRecording(bag), queries=queries)
    assert [(each.stamp, each.query) for each in transcript.utterances] == [
        (simulated_bags.START, "What is on the table?")
    ]
    assert transcript.decisions[0].decision == "answers"
    assert transcript.notes == ["1 query lies behind the last frame and was not asked."]


def test_the_frame_rate_is_that_of_the_model_or_the_one_that_is_asked_for(demo_model, bags, tabletop):
    recording = BagRecording(bags / "mcap" / "table")
    transcript = transcribe(demo_model, recording, AssistantSettings(stream=StreamSettings(fps=1.0)))
    assert len(transcript.decisions) == tabletop.num_frames(1.0)
    assert "was trained at 2 frames per second and reads 1." in transcript.notes[0]


def test_an_error_in_the_middle_of_a_recording_reaches_the_caller(demo_model, tmp_path):
    path = tmp_path / "noise.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for _ in range(50):
            picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :][:20000] = bytes(20000)
    path.write_bytes(data[: len(data) // 2] + bytes(20000) + data[len(data) // 2 + 20000 :])
    with pytest.raises(ValueError, match=r"cannot be read as a video past"):
        transcribe(demo_model, VideoRecording(path))
