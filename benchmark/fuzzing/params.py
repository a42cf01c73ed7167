# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Params files with wrong names, sections, types and values, and files that are no params files."""

import os
import tempfile
from pathlib import Path
from typing import Any

import rclpy
import yaml
from hypothesis import strategies as st
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from fuzzing import Refused
from videollm_ros.node.node_parameters import NodeParameters
from videollm_ros.node.parameter_schema import declarations
from videollm_ros.node.parameters import Parameters
from videollm_ros.node.params_files import unheard_files
from videollm_ros.node.run_node import START_ERRORS, in_one_sentence

MAY_WRITE_TO_STDERR = True  # rcl logs that it could not parse the arguments
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "OFF"

NAMES = [each.name for each in declarations(Parameters)]
SECTIONS = ["/**", "assistant", "/assistant", "/*", "assistnt", "/robot/assistant", "", "ros__parameters"]
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from(["auto", "raw", "demo", "paper", 0, 1, 2, 0.5]),
    st.text(max_size=50),
    st.lists(st.one_of(st.integers(), st.text(max_size=5)), max_size=3),
    st.none(),
)


@st.composite
def misspelled(draw: st.DrawFn) -> str:
    """A name of a parameter, with a letter changed or not."""
    name = draw(st.sampled_from(NAMES))
    if draw(st.booleans()):
        return name
    at = draw(st.integers(0, len(name) - 1))
    return name[:at] + draw(st.text(max_size=2)) + name[at + 1 :]


@st.composite
def files(draw: st.DrawFn) -> str:
    """The text of a params file."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.text(max_size=300))
    parameters: dict[str, Any] = draw(st.dictionaries(misspelled(), VALUES, max_size=4))
    if draw(st.booleans()):  # as groups
        grouped: dict[str, Any] = {}
        for name, value in parameters.items():
            group, _, last = name.rpartition(".")
            grouped[group or last] = {last: value} if group else value
        parameters = grouped
    section = draw(st.sampled_from(SECTIONS))
    content: Any = {section: {draw(st.sampled_from(["ros__parameters"] * 9 + ["ros_parameters"])): parameters}}
    text = yaml.safe_dump(content, allow_unicode=True)
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(max_size=5)) + text[at:]
    return text


cases = files()


def run(case: str) -> int:
    """Start a node with the file. Returns 0: the parameters take next to nothing."""
    context = rclpy.Context()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_bytes(case.encode("utf-8", "surrogatepass"))
        arguments = ["--ros-args", "--params-file", str(path)]
        try:
            rclpy.init(args=arguments, context=context, signal_handler_options=SignalHandlerOptions.NO)
            node = Node("assistant", context=context, enable_rosout=False, start_parameter_services=False)
            NodeParameters(node, Parameters)
            list(unheard_files(arguments, node.get_fully_qualified_name()))
        except START_ERRORS as error:
            raise Refused(in_one_sentence(error)) from error
        finally:
            context.try_shutdown()
    return 0
