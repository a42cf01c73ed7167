# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Spins a node until the process is asked to end, and leaves the graph in working order for what must be said then.

rclpy's own signal handler ends all communication at once: answers that are due cannot be sent any more, and threads
that are about to publish fail. With this one, whoever waits for an answer still learns that the node is going.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

from rclpy.exceptions import InvalidHandle
from rclpy.executors import Executor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.logging import get_logger

RCLError = rclpy_implementation.RCLError
FAREWELL = 0.3  # seconds in which what `close` has set off is still done and sent


def spin_until_signalled(executor: Executor, close: Callable[[], None], ending: threading.Event | None = None) -> None:
    """Spin until SIGINT, SIGTERM or until `ending` is set; then call `close`, and spin a little longer.

    A second signal ends the process at once.

    Call `rclpy.init` with `SignalHandlerOptions.NO`, and this from the main thread.
    """
    ending = ending or threading.Event()

    def end(*_) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        ending.set()
        executor.wake()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    while not ending.is_set():
        _spin_once(executor, timeout=0.2)
    for node in executor.get_nodes():
        for timer in list(node.timers):  # nothing new is begun
            node.destroy_timer(timer)
    close()
    deadline = time.monotonic() + FAREWELL
    while (left := deadline - time.monotonic()) > 0:
        _spin_once(executor, timeout=left)


def _spin_once(executor: Executor, timeout: float) -> None:
    try:
        executor.spin_once(timeout_sec=timeout)
    except InvalidHandle:
        pass  # an entity was destroyed while the executor was about to wait for it, which rclpy does not foresee
    except RCLError as error:
        get_logger("rclpy").warning(f"A message was not sent: {error}")  # whoever asked has gone, say
