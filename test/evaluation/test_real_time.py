# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A replay in real time goes through the node's runtime: same words where it keeps up, drops where it does not."""

import time

import numpy as np
import pytest

from videollm_ros.assistant import AssistantSettings, StreamSettings
from videollm_ros.evaluation.annotations import AnnotatedQuery
from videollm_ros.evaluation.real_time import transcribe_in_real_time
from videollm_ros.evaluation.recording import RecordedImage
from videollm_ros.evaluation.transcribe import transcribe
from videollm_ros.sim import Tabletop


class Table:
    """A simulated table as a recording."""

    name = "table"

    def __init__(self, decode_seconds: float = 0.0):
        self.tabletop, self._decode_seconds = Tabletop(9003, seconds=19.5), decode_seconds

    def images(self):
        for index in range(24, self.tabletop.num_frames(2.0)):
            yield RecordedImage(index * 500_000_000, "camera", lambda index=index: self._decode(index))

    def queries(self):
        return []

    def _decode(self, index):
        time.sleep(self._decode_seconds)
        return self.tabletop.render(index / 2)


class Stamped(Table):
    """Images of given stamps and recording times in seconds, and queries recorded between them."""

    def __init__(self, images, asked=()):
        super().__init__()
        self._images, self._asked = images, asked

    def images(self):
        for recorded, stamp in self._images:
            picture = self.tabletop.render(12 + recorded)
            yield RecordedImage(round(stamp * 1e9), "camera", lambda picture=picture: picture, round(recorded * 1e9))

    def queries(self):
        return [AnnotatedQuery(99.0, text, recorded=round(recorded * 1e9)) for recorded, text in self._asked]


def replay(model, recording, queries=(), factor=8.0, **stream):
    """Replay it faster than it was recorded. Returns the transcript and the seconds on the clock that it took."""
    clock = fast(factor)
    began = clock()
    settings = AssistantSettings(stream=StreamSettings(**stream))
    transcript = transcribe_in_real_time(model, recording, settings, queries, clock=clock)
    return transcript, clock() - began


def fast(factor):
    return lambda: time.monotonic() * factor


@pytest.mark.slow
def test_a_replay_that_keeps_up_says_what_the_offline_run_says(demo_model):
    queries = [AnnotatedQuery(3.0, "What is on the table?")]
    offline = transcribe(demo_model, Table(), queries=queries)
    replayed = transcribe_in_real_time(demo_model, Table(), queries=queries, clock=fast(0.5))
    assert replayed.counts["frames dropped"] == 0
    assert {"encode", "decode"} & replayed.latency.keys(), replayed.latency
    words = [(each.stamp, each.text) for each in offline.utterances if each.query is None]
    assert [(each.stamp, each.text) for each in replayed.utterances if each.query is None] == words != []
    assert [each.stamp for each in replayed.decisions] == [each.stamp for each in offline.decisions]
    assert [each.query for each in replayed.utterances].count("What is on the table?") == 1
    assert all(each.latency is not None and each.latency >= 0 for each in replayed.utterances)


def test_frames_for_which_there_is_no_time_are_dropped_and_counted(demo_model):
    replayed = transcribe_in_real_time(demo_model, Table(decode_seconds=0.2), clock=fast(10.0))
    due, dropped = replayed.counts["frames due"], replayed.counts["frames dropped"]
    assert dropped > 0 and len(replayed.decisions) == due - dropped
    assert replayed.counts["longest gap between frames in ms"] > 500
    assert replayed.seconds == pytest.approx(7.0)


SECONDS = np.arange(0, 6, 0.5)


@pytest.mark.parametrize("jump", [-60.0, 3600.0])
def test_a_jump_of_the_stamps_neither_rushes_nor_stalls_the_replay(demo_model, jump):
    """Images that come all at once would take no time, and a sleep for the hour would never end."""
    replayed, took = replay(demo_model, Stamped([(t, 100 + t + (jump if t >= 3 else 0)) for t in SECONDS]))
    assert 5.5 <= took < 60
    assert {each.stream for each in replayed.decisions} == {0, 1}
    assert replayed.spans == [(0.0, 2.5), (jump + 3, jump + 5.5)] and replayed.seconds == 5.0
    assert all(0 < each.latency < 30 for each in replayed.utterances)


@pytest.mark.parametrize("wrong", [0, 5])
def test_one_wrong_stamp_neither_stalls_the_replay_nor_counts_as_watched(demo_model, wrong):
    images = [(t, 3700.0 + t) for t in SECONDS]
    images[wrong] = images[wrong][0], 0.0 if wrong == 0 else 9999.0
    replayed, took = replay(demo_model, Stamped(images))
    assert took < 60
    assert replayed.spans == [(0.0, 5.5 if wrong else 5.0)] and replayed.decisions[0].time == 0.0
    assert len(replayed.notes) == 1 and "1 image" in replayed.notes[0]


def test_a_long_pause_is_shortened_to_the_gap_that_begins_a_new_stream(demo_model):
    images = [(t + (3600 if t >= 3 else 0), t + (3600 if t >= 3 else 0)) for t in SECONDS]
    replayed, took = replay(demo_model, Stamped(images), max_gap=2.0)
    assert 7 <= took < 60 and replayed.seconds == 5.0
    assert "Pauses of the recording that were shortened to 2 s: 1. The longest lasted 3600.5 s." in replayed.notes


def test_a_recorded_query_is_asked_between_the_images_around_it_after_a_jump_too(demo_model):
    images = [(t, 100 + t - (2 if t >= 3 else 0)) for t in SECONDS]
    replayed, _ = replay(
        demo_model, Stamped(images, [(0.25, "What is on the table?"), (4.25, "What is on the table?")])
    )
    streams = {each.recorded: each.stream for each in replayed.decisions}
    answers = [each for each in replayed.utterances if each.query]
    assert [(streams[each.recorded], each.asked) for each in answers] == [(0, 0.0), (1, 2.0)]
    assert [query.time for query in replayed.queries] == [0.0, 2.0]


def test_a_query_at_a_frame_takes_the_place_of_its_decision_and_later_ones_are_noted(demo_model):
    queries = [AnnotatedQuery(time, "What is on the table?") for time in (-1.0, 2.0, 2.25, 50.0)]
    replayed, _ = replay(demo_model, Stamped([(t, t) for t in SECONDS[:7]]), queries, factor=2.5)
    assert [each.time for each in replayed.decisions if each.decision == "answers"] == [0.0, 2.0]
    assert [each.asked for each in replayed.utterances if each.query] == [-1.0, 2.0, 2.25]
    assert replayed.queries == queries
    assert replayed.notes == ["1 query lies behind the last frame and was not asked."]


def test_the_latency_counts_from_when_the_image_was_shown(demo_model):
    """Stamps that run twice as fast as the recording would make it shorter and shorter."""
    queries = [AnnotatedQuery(2 * time, "What is on the table?") for time in (1.0, 5.0)]
    replayed, _ = replay(demo_model, Stamped([(t, 2 * t) for t in SECONDS]), queries)
    latencies = [each.latency for each in replayed.utterances if each.query]
    assert len(latencies) == 2 and all(0 < latency < 30 for latency in latencies)


def test_queries_that_are_too_many_are_noted_and_the_replay_goes_on(demo_model):
    queries = [AnnotatedQuery(1.0, "What is on the table?")] * 12
    replayed, _ = replay(demo_model, Stamped([(t, t) for t in SECONDS]), queries)
    assert replayed.decisions[-1].time == 5.5
    assert any(note.startswith("Queries without an answer: ") and "waiting already" in note for note in replayed.notes)
