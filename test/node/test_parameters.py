# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every parameter is declared once, and what users read and write agrees with the declaration."""

from pathlib import Path

import pytest
import yaml

from videollm_ros.node.parameter_schema import declarations, markdown_table, problem_with, read
from videollm_ros.node.parameters import Parameters

ROOT = Path(__file__).parents[2]
DECLARED = {each.name: each for each in declarations(Parameters)}
PRESETS = sorted((ROOT / "config").glob("*.yaml"))


def flattened(values, prefix=""):
    """Nested YAML groups as ROS sees them: dotted names."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def test_the_documentation_has_the_table_that_the_declarations_give():
    assert markdown_table(Parameters) in (ROOT / "docs" / "ros.md").read_text()


def test_the_documentation_has_the_tables_of_the_cameras():
    pytest.importorskip("rclpy", reason="there is no ROS 2 here")
    from videollm_ros.node.simulated_camera import SimulatedCameraParameters
    from videollm_ros.node.video_player import PlayerParameters

    text = (ROOT / "docs" / "ros.md").read_text()
    assert markdown_table(PlayerParameters) in text
    assert markdown_table(SimulatedCameraParameters) in text


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_every_preset_sets_parameters_that_exist_to_values_that_are_allowed(preset):
    parameters = yaml.safe_load(preset.read_text())["/**"]["ros__parameters"]
    for name, value in flattened(parameters):
        assert name in DECLARED, f"{preset.name} sets {name}, which is no parameter"
        assert problem_with(DECLARED[name], value) is None
    assert "model.checkpoint" in dict(flattened(parameters))


@pytest.mark.parametrize("declared", DECLARED.values(), ids=lambda each: each.name)
def test_every_default_is_allowed_and_every_description_is_a_sentence(declared):
    assert problem_with(declared, declared.default) is None
    assert declared.description.endswith(".") and len(declared.description) > 15


def test_the_defaults_read_back_as_the_dataclasses():
    assert read(lambda name: DECLARED[name].default, Parameters) == Parameters()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("stream.threshold", 1.01, "lies between 0.0 and 1.0, and was given 1.01"),
        ("stream.threshold", float("nan"), "lies between"),
        ("stream.max_new_tokens", 0, "lies between 1 and 2048"),
        ("stream.max_new_tokens", 2.0, "has the type integer, and was given 2.0"),
        ("stream.fps", 2, "has the type double, and was given 2."),
        ("speech.muted", 1, "has the type bool, and was given 1"),
        ("image_transport", "theora", "is one of raw, compressed, and was given 'theora'"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_a_sentence(name, value, problem):
    assert problem in problem_with(DECLARED[name], value)
    with pytest.raises(ValueError, match=name):
        read(lambda other: value if other == name else DECLARED[other].default, Parameters)


def test_only_what_needs_no_reload_changes_live():
    dynamic = {name for name, each in DECLARED.items() if each.dynamic}
    speech = {name for name in DECLARED if name.startswith("speech.")}
    assert dynamic == {"stream.threshold", "stream.rule", "stream.instruction", "stream.max_new_tokens", *speech}
