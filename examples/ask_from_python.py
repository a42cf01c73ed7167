# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ask a running assistant and print its answer as it grows.

python examples/ask_from_python.py "What is on the table?" --assistant /assistant
"""

import argparse
import sys

import rclpy

from videollm_ros.node.client import AssistantClient, AssistantError
from videollm_ros.node.spinning_thread import spinning


def main() -> int:
    """Ask. Returns the exit code: 1 when there is no answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question")
    parser.add_argument("--assistant", default="/assistant", help="name of the assistant's node")
    arguments = parser.parse_args()

    rclpy.init()
    node = rclpy.create_node("asker")
    try:
        with spinning(node):
            said = ""
            for utterance in AssistantClient(node, arguments.assistant).converse(arguments.question):
                print(utterance.text[len(said) :], end="", flush=True)
                said = utterance.text
            print()
        return 0
    except AssistantError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    sys.exit(main())
