# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Spins a node in a thread of its own, for programs whose main thread does something else."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node


@contextlib.contextmanager
def spinning(node: Node) -> Iterator[SingleThreadedExecutor]:
    """Spin `node` while the context lasts. Yields the executor."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):  # the ordinary end of a context
            executor.spin()

    thread = threading.Thread(target=spin, name=f"spins {node.get_name()}")
    thread.start()
    try:
        yield executor
    finally:
        executor.shutdown()
        thread.join()
