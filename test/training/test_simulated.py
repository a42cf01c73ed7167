# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator's streams as training sources: frames, labels and dialogues that belong together."""

from collections import Counter

import numpy as np
import pytest
import torch

from videollm_ros.data import DialogueError
from videollm_ros.data.frame_labels import event_labels, state_labels
from videollm_ros.data.simulated import SimulatorConfig, SimulatorSource, ask_more
from videollm_ros.live.template import IGNORED
from videollm_ros.sim import Tabletop
from videollm_ros.sim.dialogue import frame_after
from videollm_ros.sim.world import COLOURS, KINDS, SHAPES
from videollm_ros.training.config import ScratchConfig
from videollm_ros.training.simulator.scene import SceneFrames, SceneObjective, scene_labels
from videollm_ros.training.simulator.scratch import make_model


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


def test_with_a_short_context_only_the_last_frames_are_given_and_all_words_stay(model):
    source = SimulatorSource(SimulatorConfig((0, 12), 20.0, (32,)), (5, 10), model, 0)
    dialogues = [source.dialogue(index, None) for index in range(len(source))]
    assert 0 < sum(dialogue.forgotten > 0 for dialogue in dialogues) < len(dialogues) == 12
    for index, dialogue in enumerate(dialogues):
        dialogue.check()
        assert source.visual(index, dialogue).shape == (dialogue.num_frames, 3, 32, 32)
        assert source.frame_labels(index)["events"].shape == (dialogue.num_frames, 3)
        assert not dialogue.forgotten or 10 <= dialogue.num_frames <= 20


def test_added_questions_are_of_the_kinds_that_are_wanted():
    tabletop = Tabletop(5, 60.0)
    tabletop.questions = []
    ask_more(tabletop, np.random.default_rng(0), rate=3.0, kinds=("check", "where"))
    kinds = Counter(question.kind for question in tabletop.questions)
    assert kinds["check"] > 20 and kinds["where"] > 10
    assert set(kinds) <= {"check", "where", "count"}  # a count where there is nothing whose place could be asked


def test_a_window_begins_with_nothing_said_and_ends_with_questions_about_what_it_shows(model):
    config = SimulatorConfig((0, 20), 60.0, (32,), windows=2, question_rate=4.0, question_kinds=("table", "where"))
    source = SimulatorSource(config, None, model, 0)
    assert len(source) == 40
    dialogues = [source.dialogue(index, None) for index in range(40)]
    for index, dialogue in enumerate(dialogues):
        tabletop, labels = Tabletop(int(dialogue.video.split("-")[1]), 60.0), source.frame_labels(index)
        start, stop = dialogue.frames
        assert 1 <= stop - start <= 12  # 4 s, and what else it takes to see an event from its onset on
        assert sum(turn.get("num_frames", 0) for turn in dialogue.conversation) == stop - start
        assert len(source.visual(index, dialogue)) == len(labels["events"]) == len(labels["states"]) == stop - start
        told = [event for event in tabletop.events if start <= frame_after(event.time, 2.0) < stop]
        assert all(start / 2 <= event.onset for event in told)
        said = sum(turn["role"] == "assistant" for turn in dialogue.conversation)
        assert said - sum(turn["role"] == "user" for turn in dialogue.conversation) == len(told)
        assert labels["states"][0, 0] == IGNORED or told  # what happened before is not to be known
    assert sum(dialogue.conversation[-1]["role"] == "assistant" for dialogue in dialogues) > 30


def test_stored_features_are_those_of_the_frames(model):
    shown = SimulatorSource(SimulatorConfig((0, 2), 8.0, (32,)), None, model, 0, progress=False)
    stored = shown.encoded(model.vision, "cpu")
    for index in range(2):
        dialogue = shown.dialogue(index, None)
        expected = model.encode(shown.visual(index, dialogue))
        assert torch.allclose(stored.visual(index, dialogue).float(), expected, atol=1e-2)


def test_only_streams_with_enough_events_of_one_color_are_taken(model):
    streams = SimulatorSource(SimulatorConfig((0, 40), 60.0, (32,)), None, model, 0)
    hard = SimulatorSource(SimulatorConfig((0, 40), 60.0, (32,), same_color_events=4), None, model, 0)
    assert 0 < len(hard) < len(streams) == 40
    with pytest.raises(DialogueError, match="none of the streams"):
        SimulatorSource(SimulatorConfig((0, 4), 60.0, (32,), same_color_events=100), None, model, 0)


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
