# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps that are wrong, jump or pause: what is watched, where a bag's queries are asked, where the mcap lies."""

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from videollm_ros.assistant import AssistantSettings, StreamSettings
from videollm_ros.evaluation.annotations import AnnotatedEvent, AnnotatedQuery
from videollm_ros.evaluation.recording import BagRecording, RecordedImage
from videollm_ros.evaluation.replay import Replay
from videollm_ros.evaluation.transcribe import transcribe
from videollm_ros.evaluation.transcript import Transcript
from videollm_ros.evaluation.transcript_bag import write_transcript_bag
from videollm_ros.evaluation.watched_time import WatchedTime
from videollm_ros.live.config import LiveConfig

START = 1_700_000_000.0
PICTURE = np.full((32, 32, 3), 128, np.uint8)


def watch(stamps, fps=2.0):
    """Follow stamps in seconds. Returns the transcript and the stamps that become frames."""
    transcript = Transcript("x")
    watched = WatchedTime(transcript, fps, max_gap=10.0)
    images = [RecordedImage(round(stamp * 1e9), "camera", lambda: PICTURE) for stamp in stamps]
    taken = [each for image in watched.images(images) for each in watched.take(image)] + watched.confirm()
    watched.finish(CONFIG)
    return transcript, [each.stamp for each in taken]


CONFIG = LiveConfig(frame_fps=2.0)


def camera(begin=START, seconds=20.0, step=0.5):
    return [begin + index * step for index in range(round(seconds / step) + 1)]


def test_an_ordinary_recording_is_one_span_from_its_first_to_its_last_image():
    transcript, _ = watch(camera(step=0.1))
    assert transcript.spans == [(0.0, 20.0)] and transcript.seconds == 20.0
    assert (transcript.begin, transcript.end) == (START * 1e9, (START + 20) * 1e9) and transcript.notes == []


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("wrong", [0.0, START + 3600])
def test_images_that_are_stamped_before_the_driver_has_a_clock_are_left_out(wrong, count):
    transcript, taken = watch([wrong] * count + camera())
    assert transcript.begin == START * 1e9 and transcript.spans == [(0.0, 20.0)]
    assert taken == camera()
    (note,) = transcript.notes
    assert f"{count} image" in note and f"{wrong:.3f} s" in note and "left out" in note
    assert transcript.counts["images"] == 41 + count


def test_a_stream_of_some_duration_is_not_left_out():
    transcript, taken = watch([0.0, 0.5, *camera()])
    assert taken == [0.0, 0.5, *camera()] and transcript.begin == 0 and transcript.notes == []


@pytest.mark.parametrize("stamps", [[0.0], [0.0] * 5, [0.0, 20.0, 40.0, 60.0], []])
def test_nothing_is_left_out_where_no_stream_of_some_duration_follows(stamps):
    """All the same, or a time lapse in which every image begins a stream."""
    transcript, taken = watch(stamps)
    assert taken == sorted(set(stamps)) and transcript.seconds == 0.0


def test_images_whose_stamp_is_not_believed_are_noted_once_with_their_number():
    stamps = camera(step=0.1)
    stamps[50] += 3600
    stamps[120] -= 60
    transcript, taken = watch(stamps)
    assert transcript.spans == [(0.0, 20.0)] and transcript.end == (START + 20) * 1e9
    assert max(taken) <= START + 20
    (note,) = transcript.notes
    assert "2 images" in note and "3605.000 s" in note


@pytest.mark.parametrize(
    ("stamps", "spans"),
    [
        ([*camera(0), *camera(3600)], [(0.0, 20.0), (3600.0, 3620.0)]),  # a pause
        ([*camera(100), *camera(40)], [(0.0, 20.0), (-60.0, -40.0)]),  # back before the first image
        ([*camera(0), *camera(10)], [(0.0, 20.0), (10.0, 30.0)]),  # back
        ([*camera(0), 3600.0], [(0.0, 20.0), (3600.0, 3600.0)]),  # the last image an hour ahead
    ],
)
def test_every_stream_is_a_span_and_nothing_between_them(stamps, spans):
    transcript, _ = watch(stamps)
    assert transcript.spans == spans
    assert transcript.seconds == sum(end - begin for begin, end in spans)
    assert transcript.end == max(end for _, end in spans) * 1e9 + transcript.begin


@pytest.mark.parametrize(("step", "warned"), [(0.1, False), (0.5, False), (0.6, False), (1.0, True), (2.0, True)])
def test_a_recording_slower_than_the_model_reads_is_noted(step, warned):
    transcript, _ = watch(camera(step=step, seconds=24.0))
    assert [f"{1 / step:.3g} images per second" in note for note in transcript.notes] == [True] * warned


def test_a_pause_is_no_slow_recording():
    assert watch([*camera(0), *camera(3600)])[0].notes == []


# A whole run.


def write(simulated_bags, path, images, queries=()):
    """Write (recorded seconds, stamp in seconds) and (recorded seconds, text)."""
    messages = [
        ("/camera", round(recorded * 1e9), simulated_bags.image_message(PICTURE, round(stamp * 1e9)))
        for recorded, stamp in images
    ]
    messages += [("/query", round(recorded * 1e9), simulated_bags.text_message(text)) for recorded, text in queries]
    messages.sort(key=lambda each: each[1])
    return BagRecording(simulated_bags.write_bag(path, messages), query_topic="" if queries else None)


def answered(transcript):
    """The stream, the time and the time asked of every answer."""
    streams = {each.recorded: each.stream for each in transcript.decisions}
    return [(streams[each.recorded], each.time, each.asked) for each in transcript.utterances if each.query]


def test_a_query_is_asked_in_the_stream_in_which_it_was_recorded(demo_model, simulated_bags, tmp_path):
    """The stamps jump back by 4 s at 5 s. What is recorded at 7.2 s lies at 3 s of the second stream."""
    images = [(START + t, START + (t if t < 5 else t - 4)) for t in np.arange(0, 10, 0.5)]
    recording = write(simulated_bags, tmp_path / "bag", images, [(START + 7.2, "What is on the table?")])
    transcript = transcribe(demo_model, recording)
    assert answered(transcript) == [(1, 3.0, 3.0)]
    assert [(query.time, query.text) for query in transcript.queries] == [(3.0, "What is on the table?")]
    replay = Replay(demo_model, recording, AssistantSettings())
    for swept in replay.run((0.5, 0.9)):
        assert answered(swept) == [(1, 3.0, 3.0)]


def test_a_query_between_the_last_frame_of_a_stream_and_a_jump_is_answered_before_the_jump(
    demo_model, simulated_bags, tmp_path
):
    images = [(START + t, START + (t if t < 5 else t - 4)) for t in np.arange(0, 10, 0.1)]
    recording = write(simulated_bags, tmp_path / "bag", images, [(START + 4.95, "What is on the table?")])
    transcript = transcribe(demo_model, recording)
    assert answered(transcript) == [(0, 4.5, pytest.approx(4.9))]
    assert {each.decision for each in transcript.decisions} == {"silent"}


def test_queries_around_wrong_stamps_are_asked_at_the_images_that_are_believed(demo_model, simulated_bags, tmp_path):
    """The first image is stamped 0, and one in the middle an hour ahead."""
    images = [(START + t, START + t) for t in np.arange(0, 10, 0.5)]
    images[0], images[10] = (START, 0.0), (START + 5, START + 3605)
    asked = [(START + moment, f"Query {moment}?") for moment in (0.1, 5.1, 5.6, 30.0)]
    transcript = transcribe(demo_model, write(simulated_bags, tmp_path / "bag", images, asked))
    assert [query.time for query in transcript.queries] == [0.0, 4.0, 5.0, 9.0]
    assert answered(transcript) == [(0, 0.0, 0.0), (0, 4.0, 4.0), (0, 5.0, 5.0), (0, 9.0, 9.0)]


def test_a_query_in_a_stream_of_which_nothing_can_be_read_is_asked_in_the_next_one(
    demo_model, simulated_bags, tmp_path
):
    images = [(START + t, START + (t if t < 2 else t - 20)) for t in np.arange(0, 4, 0.5)]
    messages = [
        ("/camera", round(recorded * 1e9), simulated_bags.image_message(PICTURE, round(stamp * 1e9)))
        for recorded, stamp in images
    ]
    for _, _, message in messages[:4]:
        message.encoding = "nonsense"
    messages.insert(3, ("/query", round((START + 1.1) * 1e9), simulated_bags.text_message("What is on the table?")))
    bag = simulated_bags.write_bag(tmp_path / "bag", messages)
    transcript = transcribe(demo_model, BagRecording(bag, query_topic=""))
    assert [each.time for each in transcript.utterances if each.query] == [-18.0]


def test_queries_of_a_file_go_by_the_time_since_the_first_image(demo_model, simulated_bags, tmp_path):
    images = [(START + t, START + (t if t < 20 else t - 10)) for t in np.arange(0, 32, 0.5)]
    queries = [AnnotatedQuery(15.0, "What is on the table?"), AnnotatedQuery(21.0, "What is on the table?")]
    transcript = transcribe(demo_model, write(simulated_bags, tmp_path / "bag", images), queries=queries)
    assert answered(transcript) == [(0, 15.0, 15.0), (1, 21.0, 21.0)]


def test_a_slow_recording_is_noted_once_where_the_rate_is_asked_for(demo_model, simulated_bags, tmp_path):
    recording = write(simulated_bags, tmp_path / "bag", [(START + t, START + t) for t in range(0, 40, 2)])
    assert ["0.5 images per second" in note for note in transcribe(demo_model, recording).notes] == [True]
    slow = AssistantSettings(stream=StreamSettings(fps=0.5))
    assert ["reads 0.5" in note for note in transcribe(demo_model, recording, slow).notes] == [True]


@pytest.mark.parametrize("stamps", ["header", "recorded"])
def test_the_mcap_lies_where_the_images_were_recorded_whatever_clock_stamps_them(
    demo_model, simulated_bags, tmp_path, stamps
):
    """A camera that counts from boot."""
    images = [(START + t, 5.0 + t) for t in np.arange(0, 10, 0.5)]
    recording = write(simulated_bags, tmp_path / "bag", images, [(START + 3.2, "What is on the table?")])
    recording = BagRecording(recording.path, query_topic="", stamps=stamps)
    transcript = transcribe(demo_model, recording)
    write_transcript_bag(transcript, [AnnotatedEvent(4.0, "A.", 6.25)], tmp_path / "out.mcap")
    offset = START - 5.0 if stamps == "header" else 0.0
    lying = {}
    with AnyReader([tmp_path / "out.mcap"]) as reader:
        for connection, recorded, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            lying.setdefault(connection.topic.split("/")[-1], []).append(recorded)
            if hasattr(message, "header"):
                stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
                assert recorded - stamp == round(offset * 1e9)
    assert lying["speak_probability"] == [round(recorded * 1e9) for recorded, _ in images]
    assert lying["utterance"] == [round((START + 3) * 1e9)]
    told = [moment - round(START) * 10**9 for moment in lying["annotation"] + lying["annotation_end"]]
    assert told == [4_000_000_000, 6_250_000_000]
