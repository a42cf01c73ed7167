# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A configuration that cannot be used is refused with the name of the setting."""

from pathlib import Path

import pytest

from videollm_ros.training.config import ConfigError, TrainConfig
from videollm_ros.training.start import load_start

SHIPPED = sorted((Path(__file__).parents[2] / "config" / "train").glob("*.yaml"))

SIMULATOR = {"simulator": {"seeds": [0, 2]}}
LORA = {"name": "adapter", "data": SIMULATOR, "trainer": {}, "trainable": {"llm": "lora"}}
MEASURED_LIVE = LORA | {"evaluation": {"seeds": [0, 2]}}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_shipped_configurations_load(path):
    assert TrainConfig.load(path).stages


def test_no_shipped_configuration_learns_from_the_streams_that_it_is_tested_on():
    for path in SHIPPED:
        for stage in TrainConfig.load(path).stages:
            for simulator in stage.simulators:
                assert simulator.seeds[1] <= 9000, f"{path.name}, stage {stage.name}"


def change(settings, path, value):
    *parents, last = path
    for key in parents:
        settings = settings[key]
    settings[last] = value


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["stage"], [], "unknown setting stage"),
        (["stages"], [], "stages is empty"),
        (["stages", 0, "data", "simulator", "seconds"], 0.0, "data.simulator.seconds is a time above 0"),
        (["stages", 0, "data", "simulator", "resolutions"], [], "data.simulator.resolutions"),
        (["stages", 0, "data", "simulator", "resolutions"], [96, 16], "data.simulator.resolutions are 32 or more"),
        (["stages", 0, "data", "context_seconds"], [50, 20], "data.context_seconds"),
        (["stages", 0, "evaluation"], {"seeds": [0, 2], "seconds": 0.0}, "evaluation.seconds is a time above 0"),
        (
            ["stages", 0, "data"],
            SIMULATOR | {"baseline": "per_frame", "silence_keep_ratio": 0.1},
            "the baselines learn none",
        ),
        (["stages", 0, "data"], {"sources": []}, "data needs exactly one of simulator and dialogues, or a list"),
        (["stages", 0, "data"], SIMULATOR | {"sources": [SIMULATOR]}, "put simulator, dialogues and context_seconds"),
        (["stages", 0, "data", "weight"], 0.0, "data.weight is a number above 0"),
        (["stages", 0, "data"], {"dialogues": "d.jsonl", "synthetic": "snow"}, "data.synthetic is one of black, noise"),
        (["stages", 0, "data", "max_frames"], 0, "data.max_frames is at least 1"),
        (["model", "llm"], "somewhere", "model.scratch is a whole new model; leave llm and vision out"),
        (["stages", 0, "data", "simulator", "seconds"], "long", "stages[0].data.simulator.seconds is of type float"),
        (["stages", 0, "data", "simulator", "seeds"], [5, 5], "start < stop"),
        (["stages", 0, "data", "silence_keep_ratio"], 0.0, "data.silence_keep_ratio"),
        (["stages", 0, "data", "baseline"], "other", "data.baseline"),
        (["stages", 0, "trainable", "llm"], "some", "trainable.llm"),
        (["stages", 0, "task"], "dance", "task is"),
        (
            ["stages", 0, "task"],
            "scene",
            "the scene task teaches the vision tower alone; leave trainable",
        ),
        (["model", "dtype"], "float8", "model.dtype is one of float32, bfloat16, float16"),
        (["model", "scratch", "live", "fps"], 2.0, "unknown setting model.scratch.live.fps; known are frame_fps"),
        (["model", "scratch", "live", "frame_fps"], "fast", "model.scratch.live: frame_fps should be of type float"),
        (["model", "live"], {"frame_fps": 1.0}, "model.live is of a model made of llm and vision"),
        (["model"], {}, "model needs exactly one of"),
        (
            ["stages", 0, "trainer", "eval_strategy"],
            "steps",
            "trainer.eval_strategy cannot be set: the stage has no evaluation",
        ),
        (["stages", 0, "trainer", "gradient_checkpointing"], True, "trainer.gradient_checkpointing cannot be set"),
        (["output"], 3, "output is of type str"),
        (["stages", 0, "evaluation"], {"dialogues": "held_out.jsonl"}, "needs exactly one of features and videos"),
        (["stages", 0, "evaluation"], {}, "exactly one of seeds"),
        (["stages", 0, "data", "simulator", "question_kinds"], ["where", "who"], "not 'who'"),
        (
            ["stages", 0, "data", "simulator", "window_seconds"],
            [4.0, 1.0],
            "window_seconds is a shortest",
        ),
        (
            ["stages", 0, "data"],
            {"simulator": {"seeds": [0, 2], "windows": 1}, "context_seconds": [2, 4]},
            "windows have no past",
        ),
        (["stages", 0], MEASURED_LIVE, "evaluation.seeds runs the model live"),
    ],
)
def test_a_wrong_setting_is_named(run, write_config, path, value, says):
    change(run, path, value)
    with pytest.raises(ConfigError) as error:
        TrainConfig.load(write_config(run))
    assert says in str(error.value)
    assert str(error.value).startswith(str(write_config(run)))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["stages", 0, "learn"], {}, "stages[0].learn is now trainable"),
        (["stages", 0, "event_lesson"], True, "stages[0].event_lesson is now auxiliary_losses: [event]"),
        (["stages", 0, "data", "broken_replies"], 0.5, "stages[0].data.broken_replies is now reply_corruption"),
        (["stages", 0, "data", "silent_share"], 0.5, "stages[0].data.silent_share is now silence_keep_ratio"),
        (["stages", 0, "data", "simulator", "memory"], [2, 4], "data.simulator.memory is now context_seconds"),
        (["stages", 0, "data", "simulator", "same_colour_events"], 4, "same_colour_events is now same_color_events"),
    ],
)
def test_a_setting_of_an_earlier_version_is_refused_with_its_new_name(run, write_config, path, value, says):
    change(run, path, value)
    with pytest.raises(ConfigError) as error:
        TrainConfig.load(write_config(run))
    assert says in str(error.value)


def test_a_missing_setting_is_named(run, write_config):
    del run["stages"][0]["data"]
    with pytest.raises(ConfigError, match=r"stages\[0\].data is missing"):
        TrainConfig.load(write_config(run))


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        TrainConfig.load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="not valid YAML"):
        TrainConfig.load(tmp_path / "bad.yaml")


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["llm", "hiden_size"], 32, "unknown setting model.scratch.llm.hiden_size; known are"),
        (["llm", "vocab_size"], 32, "unknown setting model.scratch.llm.vocab_size; known are"),
        (["vision", "depth"], 2, "unknown setting model.scratch.vision.depth; known are"),
        (["vision", "hidden_size"], "wide", "model.scratch.vision: "),
        (["llm", "num_attention_heads"], 5, "model.scratch.llm: "),
        (["llm", "hidden_act"], "sharp", "model.scratch"),
    ],
)
def test_a_wrong_setting_of_a_new_model_is_named_before_training(run, write_config, path, value, says):
    change(run["model"]["scratch"], path, value)
    with pytest.raises(ConfigError) as error:
        load_start(TrainConfig.load(write_config(run)).model)
    assert says in str(error.value)


def test_a_tower_does_not_learn_from_stored_features(run, write_config):
    run["stages"][0]["trainable"]["vision"] = True
    run["stages"][0]["data"] = {"dialogues": "dialogues.jsonl", "features": "features"}
    with pytest.raises(ConfigError, match=r"trainable\.vision needs frames"):
        TrainConfig.load(write_config(run))


def test_a_scene_stage_needs_the_simulator(run, write_config):
    run["stages"][0] |= {"task": "scene", "data": {"dialogues": "dialogues.jsonl", "features": "features"}}
    with pytest.raises(ConfigError, match=r"the scene task learns from data\.simulator"):
        TrainConfig.load(write_config(run))
