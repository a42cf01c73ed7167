# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the console: `ros2 run videollm_ros console`, or `python -m videollm_ros.node.console`."""

from __future__ import annotations

import ipaddress
import os
import secrets
import sys

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from videollm_ros.node.console.access import MIN_TOKEN
from videollm_ros.node.console.node import ConsoleNode
from videollm_ros.node.console.server import Server
from videollm_ros.node.console.web import Console
from videollm_ros.node.run_node import START_ERRORS, in_one_sentence
from videollm_ros.node.spinning import spin_until_signalled

TOKEN_VARIABLE = "VIDEOLLM_CONSOLE_TOKEN"


def choose_token() -> str:
    """Return the token from the environment, or a new one.

    It is no parameter and goes to no log: everybody in the graph reads those.

    Raises:
        ValueError: The one in the environment is too short.
    """
    token = os.environ.get(TOKEN_VARIABLE, "")
    if token and len(token) < MIN_TOKEN:
        raise ValueError(f"{TOKEN_VARIABLE} has {len(token)} characters; give at least {MIN_TOKEN}, or none at all.")
    return token or secrets.token_urlsafe(24)


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main(args: list[str] | None = None) -> int:
    """Serve until an interrupt. Returns the exit code: 1 when it could not start."""
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        token = choose_token()
        node = ConsoleNode()
        host = node.host
        server = Server(Console(node).app(token, host), host, node.port)
    except START_ERRORS as error:
        print(f"console: {in_one_sentence(error)}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    if not is_loopback(host):
        node.get_logger().warning(
            f"The console listens on {host} without encryption: whoever is on the network can read the token. "
            "Prefer 127.0.0.1 and ssh -L."
        )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    server.start()
    shown = f"[{host}]" if ":" in host else host
    print(f"The console is at http://{shown}:{server.port}/?token={token}", flush=True)
    spin_until_signalled(executor, node.close)
    server.stop()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
