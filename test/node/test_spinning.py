# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The first signal ends a node in good order, a second one after a moment at once."""

import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("rclpy", reason="there is no ROS 2 here")

from videollm_ros.node.spinning import SAME_SIGNAL

PROGRAM = """
import sys, time
import rclpy
from rclpy.executors import SingleThreadedExecutor
from videollm_ros.node.spinning import spin_until_signalled

def close():
    print("closing", flush=True)
    time.sleep(float(sys.argv[1]))

rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
node, executor = rclpy.create_node("spinning_test"), SingleThreadedExecutor()
executor.add_node(node)
node.create_timer(0.01, lambda: print("spinning", flush=True))
spin_until_signalled(executor, close)
print("ended", flush=True)
"""


@pytest.fixture
def closing():
    """Starts a node whose closing takes so many seconds, and interrupts it."""
    started = []

    def start(seconds):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(seconds)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "spinning\n"
        process.send_signal(signal.SIGINT)
        while (line := process.stdout.readline()) != "closing\n":
            assert line == "spinning\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_signal_closes_the_node_and_returns(closing):
    process = closing(seconds=0)
    assert process.wait(60) == 0
    assert process.stdout.read().endswith("ended\n")


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_within_a_second_are_one(closing, second):
    process = closing(seconds=0.5)
    process.send_signal(second)
    assert process.wait(60) == 0
    assert process.stdout.read().endswith("ended\n")


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_later_signal_ends_the_process_at_once(closing, second):
    process = closing(seconds=600)
    time.sleep(SAME_SIGNAL)
    process.send_signal(second)
    assert process.wait(60) == -second


def test_a_callback_that_raises_closes_the_node_before_the_process_ends():
    program = PROGRAM.replace('print("spinning", flush=True)', "1 / 0")
    ended = subprocess.run([sys.executable, "-c", program, "0"], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert ended.stdout == "closing\n" and "ZeroDivisionError" in ended.stderr
