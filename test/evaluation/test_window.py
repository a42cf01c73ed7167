# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The baseline with the last N frames alone: equal while nothing has left the window, blind to what has."""

import pytest
import torch

from videollm_ros.evaluation.window_session import WindowSession
from videollm_ros.live import FrameDecision, SpeakRule, StreamSession, Utterance

RULE = SpeakRule(0.725)
QUERY = "What do you see?"


def run(session, embeds, query_at=None):
    if query_at is not None:
        session.ask(QUERY, query_at, request=query_at)
    stamps = [index / 2 for index in range(len(embeds))]
    return list(session.observe_embeds(embeds, stamps, True, list(range(len(embeds)))))


def decisions(events):
    return [(e.frame, e.speaks) for e in events if isinstance(e, FrameDecision)]


def probabilities(events):
    return [e.speak_probability for e in events if isinstance(e, FrameDecision)]


def words(events):
    return [(e.stamp, e.query, e.text) for e in events if isinstance(e, Utterance)]


@pytest.fixture(scope="module")
def embeds(golden_model, golden_tensors):
    return golden_model.project(golden_tensors["vision_features"])


@pytest.mark.parametrize("query_at", [None, 3.0, 3.2])
def test_a_window_that_holds_everything_says_what_a_session_says(golden_model, embeds, query_at):
    window = run(WindowSession(golden_model, 24, RULE, 100), embeds[:12], query_at)
    session = StreamSession(golden_model, rule=RULE)
    wanted = [e for e in run(session, embeds[:12], query_at) if isinstance(e, FrameDecision | Utterance)]
    assert decisions(window) == decisions(wanted)
    assert probabilities(window) == pytest.approx(probabilities(wanted), abs=1e-4)
    assert words(window) == words(wanted) and words(wanted)


def test_what_has_left_the_window_changes_nothing(golden_model, embeds):
    """Two pasts without speech, and the same last four frames."""
    silent = SpeakRule(0.0, "plain")  # never speaks, so that no text is left
    last = []
    for past in (embeds[:3], embeds[10:17]):
        session = WindowSession(golden_model, 4, silent, 100)
        last.append(probabilities(run(session, torch.cat([past, embeds[3:7]])))[-1])
    assert last[0] == pytest.approx(last[1], abs=1e-6)


def test_the_newest_query_stays_when_its_frame_has_left(golden_model, embeds):
    session = WindowSession(golden_model, 2, RULE, 20)
    run(session, embeds[:8], query_at=0.5)
    assert session._messages()[0]["content"] == QUERY
    session.reset()
    assert session._messages() == []


def test_the_instruction_is_read_at_every_frame(golden_model, embeds):
    plain = probabilities(run(WindowSession(golden_model, 2, RULE, 20), embeds[:4]))
    told = probabilities(run(WindowSession(golden_model, 2, RULE, 20, "Tell me what I do."), embeds[:4]))
    assert all(one != other for one, other in zip(plain, told, strict=True))


def test_a_recording_is_run_with_a_window_and_never_in_real_time(evaluate, bags, tmp_path):
    bag = bags / "mcap" / "table"
    arguments = ["bag", bag, "--annotations", bags / "events.jsonl", "--output", tmp_path / "out"]
    code, out, said = evaluate(*arguments, "--window", 4)
    assert code == 0 and "event_f1" in out, said
    code, _, said = evaluate(*arguments, "--window", 4, "--real-time")
    assert code == 2 and "--real-time" in said
