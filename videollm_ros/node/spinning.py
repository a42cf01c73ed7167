# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Spin a node until the process is asked to end, while the graph still works for what must be said then.

rclpy's own signal handler ends all communication at once: answers that are due cannot be sent any more, and threads
that are about to publish fail. With this one, everybody who waits for an answer still learns that the node ends.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from rclpy.exceptions import InvalidHandle
from rclpy.executors import Executor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.logging import get_logger

RCLError = rclpy_implementation.RCLError
SHUTDOWN_GRACE = 0.3  # seconds in which messages that `close` causes are still sent
SAME_SIGNAL = 1.0  # seconds within which a second signal is the first one again
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def spin_until_signalled(executor: Executor, close: Callable[[], None], ending: threading.Event | None = None) -> None:
    """Spin until SIGINT or SIGTERM comes or `ending` is set. Then call `close`, and spin a little longer.

    A second signal ends the process at once, unless it follows the first within a second: a launch file and a terminal
    both pass the same Ctrl-C on. If a callback raises, `close` is called before the exception goes on.

    Call `rclpy.init` with `SignalHandlerOptions.NO`, and this from the main thread.
    """
    ending = ending or threading.Event()
    first_signal: list[float] = []  # when it came, seconds, monotonic

    def end(number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if first_signal and now - first_signal[0] >= SAME_SIGNAL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        first_signal.append(now)
        ending.set()
        executor.wake()

    for number in _SIGNALS:
        signal.signal(number, end)
    if not gc.isenabled():  # while everything was imported
        gc.freeze()
        gc.enable()
    try:
        while not ending.is_set():
            _spin_once(executor, timeout=0.2)
    finally:
        for node in executor.get_nodes():
            for timer in list(node.timers):  # nothing new is begun
                node.destroy_timer(timer)
        close()
        deadline = time.monotonic() + SHUTDOWN_GRACE
        while (left := deadline - time.monotonic()) > 0:
            _spin_once(executor, timeout=left)


def _spin_once(executor: Executor, timeout: float) -> None:
    try:
        executor.spin_once(timeout_sec=timeout)
    except InvalidHandle:
        pass  # an entity was destroyed while the executor was about to wait for it, which rclpy does not foresee
    except RCLError as error:  # for instance because the client that asked has gone
        get_logger("rclpy").warning(f"A message was not sent: {error}")
