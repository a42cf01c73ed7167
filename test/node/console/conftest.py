# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A graph with the simulated camera and the demo checkpoint, each node in a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

import rclpy

from videollm_ros.demo_checkpoint import demo_checkpoint
from videollm_ros.node.spinning_thread import spinning

TIMEOUT = 120.0  # seconds; a loaded machine may be slow, and nothing here needs so long


@pytest.fixture(scope="session")
def until():
    """Wait for a condition and return its value."""
    return wait_until


def wait_until(condition, timeout=TIMEOUT, what="it"):
    """Wait for a condition and return its value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout} s"
        time.sleep(0.05)
    return value


class Graph:
    """Processes of one namespace. What they print is kept in files."""

    def __init__(self, namespace, folder):
        self.namespace, self.folder = namespace, folder
        self.running = {}

    def start(self, module, *parameters, remap=()):
        command = [sys.executable, "-m", f"videollm_ros.node.{module}", "--ros-args", "-r", f"__ns:={self.namespace}"]
        for parameter in parameters:
            command += ["-p", parameter]
        for each in remap:
            command += ["-r", each]
        with (self.folder / f"{module}.log").open("a") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)
        self.running[module] = process
        return process

    def start_camera(self, *parameters):
        return self.start("simulated_camera", "fps:=10.0", "seed:=9001", *parameters)

    def start_assistant(self, *parameters, remap=()):
        checkpoint = f"model.checkpoint:={demo_checkpoint()}"
        return self.start("assistant_node", checkpoint, "model.cpu_threads:=1", *parameters, remap=remap)

    def log(self, module):
        return (self.folder / f"{module}.log").read_text()

    def stop(self, module, how=signal.SIGINT):
        process = self.running.pop(module)
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return process.returncode

    def stop_all(self):
        for module in list(self.running):
            self.stop(module)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """The camera and the assistant under /demo."""
    graph = Graph("/demo", tmp_path_factory.mktemp("demo"))
    graph.start_camera()
    graph.start_assistant()
    yield graph
    graph.stop_all()


@pytest.fixture(scope="module")
def node():
    """A node that a thread spins."""
    rclpy.init()
    node = rclpy.create_node("client_test", namespace="/demo")
    with spinning(node):
        yield node
    rclpy.try_shutdown()


@pytest.fixture(scope="session")
def console_process(tmp_path_factory):
    """Starts a console with a token; gives its port."""

    @contextlib.contextmanager
    def start(token, port=0):
        log = tmp_path_factory.mktemp("console") / "console.log"
        command = [sys.executable, "-m", "videollm_ros.node.console", "--ros-args", "-p", f"port:={port}"]
        with log.open("w") as output:
            environment = {**os.environ, "VIDEOLLM_CONSOLE_TOKEN": token}
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: "The console is at" in log.read_text() or process.poll() is not None, what="the start")
            port = int(log.read_text().split("127.0.0.1:")[1].split("/")[0])
            yield port
            assert process.poll() is None, log.read_text()
            assert "Traceback" not in log.read_text(), log.read_text()
        finally:
            process.send_signal(signal.SIGINT)
            try:
                assert process.wait(20) == 0, log.read_text()
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise

    return start
