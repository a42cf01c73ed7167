# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A configuration that cannot be used is refused with the name of the setting."""

from pathlib import Path

import pytest

from videollm_ros.training.config import ConfigError, TrainConfig

SHIPPED = sorted((Path(__file__).parents[2] / "config" / "train").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_shipped_configurations_load(path):
    assert TrainConfig.load(path).stages


def test_no_shipped_configuration_learns_from_the_streams_that_it_is_tested_on():
    for path in SHIPPED:
        for stage in TrainConfig.load(path).stages:
            if stage.data.simulator is not None:
                _, stop = stage.data.simulator.seeds
                assert stop <= 9000, f"{path.name}, stage {stage.name}"


def change(settings, path, value):
    *parents, last = path
    for key in parents:
        settings = settings[key]
    settings[last] = value


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["stage"], [], "unknown setting stage"),
        (["stages", 0, "data", "simulator", "seconds"], "long", "stages[0].data.simulator.seconds is of type float"),
        (["stages", 0, "data", "simulator", "seeds"], [5, 5], "start < stop"),
        (["stages", 0, "data", "silent_share"], 0.0, "data.silent_share"),
        (["stages", 0, "data", "baseline"], "other", "data.baseline"),
        (["stages", 0, "learn", "llm"], "some", "learn.llm"),
        (["stages", 0, "task"], "dance", "task is"),
        (["model"], {}, "model needs exactly one of"),
        (["output"], 3, "output is of type str"),
    ],
)
def test_a_wrong_setting_is_named(run, write_config, path, value, says):
    change(run, path, value)
    with pytest.raises(ConfigError) as error:
        TrainConfig.load(write_config(run))
    assert says in str(error.value)
    assert str(error.value).startswith(str(write_config(run)))


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
