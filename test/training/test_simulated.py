# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator's streams as training sources: frames, labels and dialogues that belong together."""

import pytest
import torch

from videollm_ros.live.template import IGNORED
from videollm_ros.sim import Tabletop
from videollm_ros.sim.world import COLOURS, KINDS, SHAPES
from videollm_ros.training.config import ScratchConfig, SimulatorConfig
from videollm_ros.training.scene import SceneFrames, scene_labels
from videollm_ros.training.scratch import make_model
from videollm_ros.training.simulated import ask_more, event_labels, simulated_sources, state_labels


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
    labels = state_labels(tabletop, 2.0)
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
        ask_more(tabletop, 6)
        assert len(tabletop.questions) > len(own)
        assert set(own) <= set(tabletop.questions)
        assert [question.style for question in tabletop.questions if question.style] == [
            q.style for q in own if q.style
        ]


def test_with_memory_only_the_last_frames_are_given_and_all_words_stay(model):
    config = SimulatorConfig((0, 12), 20.0, (32,), memory=(5, 10))
    sources = simulated_sources(config, model, 0, encode=False)
    assert 0 < sum(source.forgotten > 0 for source in sources) < 12
    for source in sources:
        kept = source.dialogue.num_frames - source.forgotten
        assert source.read(source.dialogue).shape == (kept, 3, 32, 32)
        assert source.events.shape == (kept, 3)
        assert not source.forgotten or 10 <= kept <= 20


def test_stored_features_are_those_of_the_frames(model):
    config = SimulatorConfig((0, 2), 8.0, (32,))
    frames, features = (simulated_sources(config, model, 0, encode=e, progress=False) for e in (False, True))
    for shown, encoded in zip(frames, features, strict=True):
        expected = model.encode(shown.read(shown.dialogue))
        assert torch.allclose(encoded.read(encoded.dialogue).float(), expected, atol=1e-2)


def test_only_streams_with_enough_events_of_one_colour_are_taken(model):
    streams = simulated_sources(SimulatorConfig((0, 40), 60.0, (32,)), model, 0, encode=False)
    hard = simulated_sources(SimulatorConfig((0, 40), 60.0, (32,), same_colour_events=4), model, 0, encode=False)
    assert 0 < len(hard) < len(streams) == 40


def test_scene_labels_say_what_stands_where_unless_something_moves():
    tabletop = Tabletop(3, 60.0)
    event = tabletop.events[0]
    moving, still = scene_labels(tabletop, [(event.onset + event.time) / 2, event.time + 0.01]).tolist()
    assert moving == [IGNORED] * 8 + [1]
    assert still[-1] == 0
    assert sum(label > 0 for label in still[:8]) == 2 * len(tabletop.state(event.time + 0.01).visible)


def test_a_scene_sample_is_the_same_every_time():
    frames = SceneFrames(SimulatorConfig((0, 4), 20.0, (32, 48)), 32, seed=1)
    assert torch.equal(frames[3][0], frames[3][0])
    assert not torch.equal(frames[3][0], frames[7][0])
