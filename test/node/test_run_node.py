# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A wrong command line ends in a sentence and an exit code, and so does a model that cannot be loaded."""

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy
from rclpy.node import Node

from videollm_ros.node import assistant_node, simulated_camera, video_player
from videollm_ros.node.params_files import names_node, unheard_files
from videollm_ros.node.run_node import BAD_START, in_one_sentence, run_node

EXECUTABLES = {"assistant": assistant_node, "simulated_camera": simulated_camera, "video_player": video_player}
MISTAKES = {
    "log level": (["--log-level", "loud"], "Couldn't parse log level"),
    "topic": (["-r", "image:=/cam era"], "Couldn't parse remap rule: '-r image:=/cam era'"),
    "file": (["--params-file", "bad.yaml"], "Cannot have a value before ros__parameters"),
    "missing file": (["--params-file", "nowhere.yaml"], "Error opening YAML file"),
    "node name": (["-r", "__node:=a b"], "Couldn't parse remap rule"),
    "argument": (["--colour"], "These ROS arguments are not known: ['--colour']"),
    "parameter": (["-p", "no_such:=1"], "There is no parameter no_such."),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("name", EXECUTABLES)
def test_a_wrong_command_line_ends_in_one_sentence(name, mistake, tmp_path, monkeypatch, capfd):
    (tmp_path / "bad.yaml").write_text("assistant:\n  stream:\n    fps: 2.0\n")
    monkeypatch.chdir(tmp_path)
    arguments, sentence = MISTAKES[mistake]
    assert EXECUTABLES[name].main(["program", "--ros-args", *arguments]) == BAD_START
    *_, last = capfd.readouterr().err.splitlines()
    assert last.startswith(f"{name}: ") and sentence in last
    assert ".c:" not in last


def test_an_error_is_one_line_without_the_sources_of_rcl():
    error = RuntimeError("failed to initialize rcl: No such\n file, at /project/src/a.c:806, at /project/src/b.c:4")
    assert in_one_sentence(error) == "No such file"


@pytest.mark.parametrize(
    ("section", "applies"),
    [
        ("/**", True),
        ("/robot/assistant", True),
        ("/*/assistant", True),
        ("/**/assistant", True),
        ("/assistant", False),
        ("/robot/assistnt", False),
        ("/*", False),
        ("/robot", False),
    ],
)
def test_a_section_of_a_params_file_names_a_node_as_in_ros(section, applies, tmp_path):
    assert names_node(section, "/robot/assistant") == applies
    # And ROS agrees.
    file = tmp_path / "params.yaml"
    file.write_text(f"{section}:\n  ros__parameters:\n    answer: 42\n")
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", "--params-file", str(file)], context=context)
    node = rclpy.create_node(
        "assistant", namespace="/robot", context=context, automatically_declare_parameters_from_overrides=True
    )
    assert node.has_parameter("answer") == applies
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("assistnt:\n  ros__parameters: {a: 1}", "/assistnt"),
        ("/robot:\n  camera:\n    ros__parameters: {a: 1}\nother:\n  ros__parameters: {a: 1}", "/robot/camera, /other"),
    ],
)
def test_a_file_without_a_section_for_the_node_is_named(text, sections, tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(text)
    (sentence,) = unheard_files(["program", "--ros-args", "--params-file", str(file)], "/robot/assistant")
    assert f"{file} sets parameters of {sections}, and this node is /robot/assistant" in sentence
    file.write_text(text + "\n/**:\n  ros__parameters: {b: 1}\n")
    assert not list(unheard_files(["--params-file", str(file)], "/robot/assistant"))


class EndingNode(Node):
    """Ends by itself, with an exit code of its own."""

    def __init__(self):
        super().__init__("ending")
        self.ending, self.exit_code, self.is_loading = threading.Event(), 0, False
        self.create_timer(0.01, self._end)

    def _end(self):
        self.exit_code = 3
        self.ending.set()

    def close(self):
        pass


def test_a_node_may_end_itself_with_an_exit_code():
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert run_node("ending", EndingNode, ["program"]) == 3
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def assistant(*parameters):
    command = [sys.executable, "-m", "videollm_ros.node.assistant_node", "--ros-args", "-r", "__ns:=/autostart"]
    for parameter in parameters:
        command += ["-p", parameter]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_load_that_fails_is_tried_again_and_then_ends_the_node_with_an_exit_code(tmp_path):
    node = assistant(f"model.checkpoint:={tmp_path}/missing", "model.load_retries:=1")
    _, log = node.communicate(timeout=300)
    assert node.returncode == 1
    assert log.count("missing is neither a folder nor a hub id") == 2
    assert "tried again in 2 s. `ros2 lifecycle set /autostart/assistant configure` tries it at once" in log
    assert "/autostart/assistant ends (attempts: 2)" in log
    assert "Traceback" not in log


def test_a_load_that_fails_once_succeeds_when_the_checkpoint_is_there(tmp_path):
    node = assistant(f"model.checkpoint:={tmp_path}/demo", "model.load_retries:=5")
    try:
        while "tried again" not in (line := node.stderr.readline()):
            assert line, "it ended"
        (tmp_path / "demo").symlink_to(Path(__file__).parents[2] / "checkpoints" / "demo")
        while not re.search(r"Loaded on ", line := node.stderr.readline()):
            assert line, "it ended"
    finally:
        node.send_signal(signal.SIGINT)
        _, rest = node.communicate(timeout=120)
    assert node.returncode == 0, rest


def test_an_interrupt_while_the_imports_run_is_quiet():
    command = [sys.executable, "-X", "importtime", "-m", "videollm_ros.node.assistant_node"]
    node = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (line := node.stderr.readline()).endswith(" torch._C\n") and "| torch" not in line:
        assert line, "torch was not imported"
    node.send_signal(signal.SIGINT)
    _, rest = node.communicate(timeout=120)
    assert node.returncode == 0
    assert "Traceback" not in rest and "KeyboardInterrupt" not in rest


@pytest.mark.parametrize(
    "command, collects",
    [
        (["assistant_node"], False),
        (["/opt/ros/lib/videollm_ros/console", "--ros-args"], False),
        (["pytest", "test/node/console"], True),
    ],
)
def test_only_the_executables_do_not_collect_garbage_until_they_spin(command, collects):
    program = f"""
import gc, sys
sys.argv = {command}
from videollm_ros.node.spinning import spin_until_signalled
print(gc.isenabled())
import rclpy, threading
from rclpy.executors import SingleThreadedExecutor
rclpy.init()
ending = threading.Event()
ending.set()
spin_until_signalled(SingleThreadedExecutor(), lambda: None, ending)
print(gc.isenabled())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == [str(collects), "True"]
