# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A parameter that does not exist or fit is refused with a sentence, and one that needs a reload waits for it."""

import contextlib

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from videollm_ros.node.assistant_node import AssistantNode
from videollm_ros.node.node_parameters import NodeParameters
from videollm_ros.node.parameters import Parameters
from videollm_ros.node.simulated_camera import SimulatedCamera


@contextlib.contextmanager
def given(tmp_path, overrides="", yaml=""):
    """ROS as it is started with parameters, in words of the command line and in a YAML file for all nodes."""
    arguments = ["--ros-args", *(part for each in overrides.split() for part in ("-p", each))]
    if yaml:
        (tmp_path / "params.yaml").write_text(f"/**:\n  ros__parameters:\n    {yaml}\n")
        arguments += ["--params-file", str(tmp_path / "params.yaml")]
    rclpy.init(args=arguments)
    try:
        yield
    finally:
        rclpy.try_shutdown()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("stream.treshold", "Did you mean stream.threshold?"),
        ("speech.cooldwn", "Did you mean speech.cooldown?"),
        ("threshold", "Did you mean stream.threshold?"),
        ("cooldwon", "Did you mean speech.cooldown?"),
        ("image.transport", "Did you mean image_transport?"),
        ("xyz", "docs/ros.md lists the parameters."),
    ],
)
@pytest.mark.parametrize("where", ["command line", "file"])
def test_a_parameter_that_does_not_exist_is_named_with_the_nearest_that_does(tmp_path, where, name, meant):
    how = {"overrides": f"{name}:=0.5"} if where == "command line" else {"yaml": f"{name}: 0.5"}
    node = None
    with given(tmp_path, **how):
        with pytest.raises(ValueError) as refused:
            node = AssistantNode()
        assert node is None
    assert str(refused.value) == f"There is no parameter {name}. {meant}"


def test_parameters_that_every_node_has_are_no_misspellings(tmp_path):
    with given(tmp_path, "use_sim_time:=false"):
        node = rclpy.create_node("any")
        NodeParameters(node, Parameters)
        node.destroy_node()


def test_an_integer_is_taken_for_a_double_at_the_start_and_later(tmp_path):
    with given(tmp_path, "speech.cooldown:=3", yaml="stream: {fps: 2, max_gap: 10.5}"):
        node = rclpy.create_node("any")
        parameters = NodeParameters(node, Parameters)
        assert (parameters.current.stream.fps, parameters.current.speech.cooldown) == (2.0, 3.0)
        assert node.set_parameters([Parameter("stream.threshold", value=1)])[0].successful
        assert parameters.current.stream.threshold == 1.0
        assert isinstance(node.get_parameter("stream.threshold").value, float)
        assert not node.set_parameters([Parameter("stream.threshold", value=2)])[0].successful
        node.destroy_node()


def test_a_misspelled_parameter_that_is_set_later_is_named_too(tmp_path):
    with given(tmp_path):
        node = rclpy.create_node("any")
        NodeParameters(node, Parameters)
        with pytest.raises(ParameterNotDeclaredException, match=r"Did you mean stream\.threshold\?"):
            set_parameter(node, "stream.treshold", 0.5)
        node.destroy_node()


def test_a_double_is_not_taken_for_an_integer(tmp_path):
    with given(tmp_path, "stream.max_new_tokens:=2.0"):
        node = rclpy.create_node("any")
        with pytest.raises(Exception, match="expecting type 'INTEGER'"):
            NodeParameters(node, Parameters)
        node.destroy_node()


@pytest.fixture
def assistant(golden_paths, tmp_path):
    with given(tmp_path, "autostart:=false model.device:=cpu"):
        node = AssistantNode()
        node.set_parameters([Parameter(f"model.{name}", value=path) for name, path in golden_paths.items()])
        yield node
        node.close()
        node.destroy_node()


def set_parameter(node, name, value):
    return node.set_parameters([Parameter(name, value=value)])[0]


def test_what_needs_a_reload_can_be_set_while_unconfigured_and_counts_from_the_next_configure(assistant):
    assert set_parameter(assistant, "stream.fps", 4.0).successful
    assert set_parameter(assistant, "context.max_tokens", 1000).successful
    assert set_parameter(assistant, "image_transport", "compressed").successful
    assert assistant.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert assistant.trigger_activate() == TransitionCallbackReturn.SUCCESS
    assert [s.msg_type.__name__ for s in assistant.subscriptions if s.topic_name == "/image"] == ["CompressedImage"]

    refused = set_parameter(assistant, "stream.fps", 2.0)
    assert (refused.successful, refused.reason) == (
        False,
        "stream.fps cannot change now. Deactivate and clean up first.",
    )
    assert assistant.get_parameter("stream.fps").value == 4.0
    assert set_parameter(assistant, "stream.threshold", 0.5).successful

    assert assistant.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert not set_parameter(assistant, "image_transport", "raw").successful
    assert assistant.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    assert set_parameter(assistant, "image_transport", "raw").successful
    assert assistant.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert assistant.trigger_activate() == TransitionCallbackReturn.SUCCESS
    assert [s.msg_type.__name__ for s in assistant.subscriptions if s.topic_name == "/image"] == ["Image"]


def test_the_nodes_own_dump_can_be_loaded_in_every_state(assistant):
    def dump():
        return list(assistant.get_parameters_by_prefix("").values())

    assert {"stream.threshold", "model.checkpoint", "autostart"} <= {each.name for each in dump()}
    assert all(result.successful for result in assistant.set_parameters(dump()))
    assert assistant.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert all(result.successful for result in assistant.set_parameters(dump()))


def test_a_parameter_of_a_camera_is_read_at_the_start(tmp_path):
    with given(tmp_path):
        node = SimulatedCamera()
        refused = set_parameter(node, "seed", 3)
        assert not refused.successful and "start it again with the new value" in refused.reason
        assert not set_parameter(node, "start_type_description_service", False).successful
        node.destroy_node()
