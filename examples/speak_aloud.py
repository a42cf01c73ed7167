# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand everything the assistant says to a program that speaks, one utterance after another.

python examples/speak_aloud.py --assistant /assistant -- espeak-ng -v en

The text is the last argument of the program. A newer utterance waits until the one before it has been spoken, and takes
the place of one that still waits.
"""

import argparse
import queue
import subprocess
import sys

import rclpy
from rclpy.executors import ExternalShutdownException

from videollm_ros.msg import AssistantUtterance
from videollm_ros.node.client import AssistantClient


def main() -> int:
    """Listen and speak until an interrupt. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assistant", default="/assistant", help="name of the assistant's node")
    parser.add_argument("--count", type=int, default=0, help="end after so many utterances; 0: go on")
    parser.add_argument("program", nargs="+", help="the program that speaks, with its arguments")
    arguments = parser.parse_args()

    waiting: queue.Queue[str] = queue.Queue(maxsize=1)

    def heard(utterance: AssistantUtterance) -> None:
        if waiting.full():
            waiting.get_nowait()  # what was said before is out of date
        waiting.put(utterance.text)

    rclpy.init()
    node = rclpy.create_node("loudspeaker")
    AssistantClient(node, arguments.assistant).on_utterance(heard)
    speaking, spoken = None, 0
    try:
        while not arguments.count or spoken < arguments.count:
            rclpy.spin_once(node, timeout_sec=0.1)
            if not waiting.empty() and (speaking is None or speaking.poll() is not None):
                # A list and no shell: the text is an argument, whatever is in it.
                speaking = subprocess.Popen([*arguments.program, waiting.get()])
                spoken += 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # the ordinary way to end a node
    finally:
        if speaking is not None:
            speaking.wait()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
