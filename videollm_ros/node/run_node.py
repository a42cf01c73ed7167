# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run one node as a process: a wrong command line ends in a sentence, and every end has its exit code."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

import rclpy
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.signals import SignalHandlerOptions

from videollm_ros.node import allocator
from videollm_ros.node.params_files import unheard_files
from videollm_ros.node.spinning import spin_until_signalled

UnknownROSArgsError = rclpy_implementation.UnknownROSArgsError
# What a wrong argument, parameter, name or file makes rclpy or a node raise. RCLError is a RuntimeError.
START_ERRORS = (RuntimeError, ValueError, OSError, ParameterException, NameValidationException)
BAD_START = 1  # exit code


class RunnableNode(Protocol):
    """A node that can be run: an rclpy Node with these members."""

    ending: threading.Event  # set by the node itself when the process is to end
    exit_code: int  # of the process

    @property
    def is_loading(self) -> bool:
        """Return whether a thread is at work that cannot be stopped."""

    def close(self) -> None:
        """Stop all work. Called once, before the node leaves the graph."""

    def get_logger(self) -> Any:
        """Return the logger, as rclpy's Node does."""

    def get_fully_qualified_name(self) -> str:
        """Return the name with the namespace, as rclpy's Node does."""


def run_node(
    name: str, make: Callable[[], RunnableNode], args: Sequence[str] | None = None, num_threads: int = 1
) -> int:
    """Make a node and spin it until it ends itself or a signal comes.

    Args:
        name: what an error at the start begins with.
        make: makes the node, within an initialized rclpy.
        args: the command line; None takes that of the process.
        num_threads: threads of the executor.

    Returns:
        The exit code: `BAD_START` if the node could not be made, and otherwise the node's own.
    """
    allocator.limit_arenas()
    args = sys.argv if args is None else args
    try:
        rclpy.init(args=list(args), signal_handler_options=SignalHandlerOptions.NO)
        node = make()
    except START_ERRORS as error:
        print(f"{name}: {in_one_sentence(error)}", file=sys.stderr)
        rclpy.try_shutdown()
        return BAD_START
    for sentence in unheard_files(args, node.get_fully_qualified_name()):
        node.get_logger().warning(sentence)
    executor = SingleThreadedExecutor() if num_threads == 1 else MultiThreadedExecutor(num_threads)
    executor.add_node(node)
    spin_until_signalled(executor, node.close, node.ending)
    if node.is_loading:
        leave(node.exit_code)  # nothing else ends a thread that loads a model, which may take minutes
    # The node is not destroyed: threads of the executor may still use its handles.
    rclpy.try_shutdown()
    return node.exit_code


def leave(exit_code: int) -> NoReturn:
    """End the process without taking the interpreter apart.

    With torch loaded that takes seconds, and a launch file kills what has not ended five seconds after its signal.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def in_one_sentence(error: Exception) -> str:
    """Return an error's text on one line, without the places in the sources of rcl that follow it."""
    text = " ".join(str(error).split())
    if isinstance(error, UnknownROSArgsError):
        return f"These ROS arguments are not known: {text}."
    return re.sub(r",? at /\S+?:\d+", "", text).removeprefix("failed to initialize rcl: ")[:500]
