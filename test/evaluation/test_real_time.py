# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A replay in real time goes through the node's runtime: same words where it keeps up, drops where it does not."""

import time

import pytest

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
