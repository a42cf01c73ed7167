# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator's streams as training sources: frames, labels and dialogues that belong together."""

from collections import Counter

import numpy as np
import pytest
import torch

from videollm_ros.live.template import IGNORED
from videollm_ros.sim import Tabletop
from videollm_ros.sim.dialogue import frame_after
from videollm_ros.sim.world import COLOURS, KINDS, SHAPES
from videollm_ros.training.config import ConfigError, ScratchConfig, SimulatorConfig
from videollm_ros.training.scene import SceneFrames, SceneObjective, scene_labels
from videollm_ros.training.scratch import make_model
from videollm_ros.training.simulated import ask_more, encoded, event_labels, simulated_sources, state_labels


@pytest.fixture(scope="module")
def model():
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    llm = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    live = {"frame_resolution": 32, "frame_token_cls": False, "frame_token_pooled": [1, 3]}
    return make_model(ScratchConfig(vision | {"patch_size": 8, "vision_use_head": False}, llm, live))


def test_an_event_is_the_label_of_the_frame_that_decides_it():
    tabletop = Tabletop(3, 60.0)
    labels = event_labels(tabletop, 2.0)
    assert len(tabletop.events) == int((labels[:, 0] != IGNORED).sum())
    for event in tabletop.events:
        kind, colour, shape = labels[int(-(-event.time * 2 // 1))].tolist()
        assert (KINDS[kind], list(COLOURS)[colour], SHAPES[shape]) == event.meaning


def test_a_frame_knows_what_happened_last_and_what_is_to_be_seen():
    tabletop = Tabletop(3, 60.0)
    labels = state_labels(tabletop, 2.0, 0, 120)
    event = tabletop.events[-1]
    kind, colour, shape, *items = labels[-1].tolist()
    assert (KINDS[kind], list(COLOURS)[colour], SHAPES[shape]) == event.meaning
    visible = {
        1 + list(COLOURS).index(i.colour) * len(SHAPES) + SHAPES.index(i.shape) for i in tabletop.state(60).visible
    }
    assert set(items) - {0} == visible
    before = labels[: int(tabletop.events[0].onset * 2)]
    assert (before[:, :3] == IGNORED).all()
    assert (labels[int(event.time * 2), 3:] == IGNORED).all()  # in the middle of the motion


def test_more_questions_are_asked_than_the_streams_own_in_the_same_style():
    for seed in range(20):
        tabletop = Tabletop(seed, 60.0)
        own = list(tabletop.questions)
        ask_more(tabletop, np.random.default_rng(seed), rate=1.5)
        times = [question.time for question in tabletop.questions]
        assert len(times) > len(own) + 10
        assert times == sorted(times) and len(set(times)) < len(times)  # several at one time
        assert set(own) <= set(tabletop.questions)
        full = next((q.time for q in own if q.style == "full"), 61)
        counted = [q for q in tabletop.questions if q.kind == "count"]
        assert all(("There" in q.answer) == (q.time >= full) for q in counted)
        assert [question.style for question in tabletop.questions if question.style] == [
            q.style for q in own if q.style
        ]


def test_with_memory_only_the_last_frames_are_given_and_all_words_stay(model):
    config = SimulatorConfig((0, 12), 20.0, (32,), memory=(5, 10))
    sources = simulated_sources(config, model, 0)
    assert 0 < sum(source.forgotten > 0 for source in sources) < 12
    for source in sources:
        kept = source.dialogue.num_frames - source.forgotten
        assert source.read(source.dialogue).shape == (kept, 3, 32, 32)
        assert source.events.shape == (kept, 3)
        assert not source.forgotten or 10 <= kept <= 20


def test_added_questions_are_of_the_kinds_that_are_wanted():
    tabletop = Tabletop(5, 60.0)
    tabletop.questions = []
    ask_more(tabletop, np.random.default_rng(0), rate=3.0, kinds=("check", "where"))
    kinds = Counter(question.kind for question in tabletop.questions)
    assert kinds["check"] > 20 and kinds["where"] > 10
    assert set(kinds) <= {"check", "where", "count"}  # a count where there is nothing whose place could be asked


def test_a_window_begins_with_nothing_said_and_ends_with_questions_about_what_it_shows(model):
    config = SimulatorConfig((0, 20), 60.0, (32,), windows=2, question_rate=4.0, question_kinds=("table", "where"))
    sources = simulated_sources(config, model, 0)
    assert len(sources) == 40
    for source in sources:
        dialogue, tabletop = source.dialogue, Tabletop(int(source.dialogue.video.split("-")[1]), 60.0)
        start, stop = dialogue.frames
        assert 1 <= stop - start <= 12  # 4 s, and what else it takes to see an event from its onset on
        assert sum(turn.get("num_frames", 0) for turn in dialogue.conversation) == stop - start
        assert len(source.read(dialogue)) == len(source.events) == len(source.states) == stop - start
        told = [event for event in tabletop.events if start <= frame_after(event.time, 2.0) < stop]
        assert all(start / 2 <= event.onset for event in told)
        said = sum(turn["role"] == "assistant" for turn in dialogue.conversation)
        assert said - sum(turn["role"] == "user" for turn in dialogue.conversation) == len(told)
        assert source.states[0, 0] == IGNORED or told  # what happened before is not to be known
    assert sum(source.dialogue.conversation[-1]["role"] == "assistant" for source in sources) > 30


def test_stored_features_are_those_of_the_frames(model):
    config = SimulatorConfig((0, 2), 8.0, (32,))
    frames = simulated_sources(config, model, 0)
    for shown, stored in zip(frames, encoded(frames, model, progress=False), strict=True):
        expected = model.encode(shown.read(shown.dialogue))
        assert torch.allclose(stored.read(stored.dialogue).float(), expected, atol=1e-2)


def test_only_streams_with_enough_events_of_one_colour_are_taken(model):
    streams = simulated_sources(SimulatorConfig((0, 40), 60.0, (32,)), model, 0)
    hard = simulated_sources(SimulatorConfig((0, 40), 60.0, (32,), same_colour_events=4), model, 0)
    assert 0 < len(hard) < len(streams) == 40
    with pytest.raises(ConfigError, match="none of the streams"):
        simulated_sources(SimulatorConfig((0, 4), 60.0, (32,), same_colour_events=100), model, 0)


def test_scene_labels_say_what_stands_where_unless_something_moves():
    tabletop = Tabletop(3, 60.0)
    event = tabletop.events[0]
    moving, still = scene_labels(tabletop, [(event.onset + event.time) / 2, event.time + 0.01]).tolist()
    assert moving == [IGNORED] * 8 + [1]
    assert still[-1] == 0
    assert sum(label > 0 for label in still[:8]) == 2 * len(tabletop.state(event.time + 0.01).visible)


def test_a_token_learns_which_part_of_the_frame_it_is_of(model):
    objective = SceneObjective(model.vision)
    objective(*SceneFrames(SimulatorConfig((0, 2), 20.0, (32,)), 32, seed=1)[0])["loss"].backward()
    assert objective.part.out_features == model.config.frame_num_tokens
    assert objective.part.weight.grad.abs().sum() > 0
    model.zero_grad()


def test_a_scene_sample_is_the_same_every_time():
    frames = SceneFrames(SimulatorConfig((0, 4), 20.0, (32, 48)), 32, seed=1)
    assert torch.equal(frames[3][0], frames[3][0])
    assert not torch.equal(frames[3][0], frames[7][0])
