# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Check what a launch file was given, and end a launch with an exit code when one of its processes has failed.

launch itself ignores an argument that nobody has declared, and a process that has died.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def refuse_unknown_arguments(file: str, known: Iterable[str]) -> None:
    """Refuse an argument of `ros2 launch` that a launch file does not have.

    Where another file includes this one, the command line is that file's, and nothing is checked.

    Args:
        file: the launch file.
        known: names of its arguments, and of those of the files that it includes.

    Raises:
        ValueError: an argument is unknown.
    """
    if not any(Path(each).name == Path(file).name for each in sys.argv):
        return
    names = sorted(known)
    for name in (each.partition(":=")[0] for each in sys.argv if ":=" in each):
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {near[0]}?" if near else "--show-args lists them."
            raise ValueError(f"There is no argument {name}. {hint}")


def boolean(name: str, value: str) -> bool:
    """Return the value of an argument that is true or false.

    Raises:
        ValueError: it is neither.
    """
    if value.lower() not in ("true", "false"):
        raise ValueError(f"{name}:={value} was given; it is true or false.")
    return value.lower() == "true"


def number(name: str, value: str, unit: str = "seconds") -> float:
    """Return the value of an argument that is a number.

    Raises:
        ValueError: it is not one.
    """
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name}:={value} was given; it is a number of {unit}.") from None


def tcp_port(name: str, value: str, least: int = 1) -> int:
    """Return the value of an argument that is a TCP port.

    Args:
        name: of the argument.
        value: what was given.
        least: 0 where 0 has a meaning, otherwise 1.

    Raises:
        ValueError: it is no whole number, or out of range.
    """
    if not value.isdecimal() or not least <= int(value) <= 65535:
        raise ValueError(f"{name}:={value} was given; it is a whole number from {least} to 65535.")
    return int(value)


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """Return the value of an argument that is one of some words.

    Raises:
        ValueError: it is none of them.
    """
    words = list(choices)
    if value not in words:
        raise ValueError(f"{name}:={value} was given; it is {', '.join(words[:-1])} or {words[-1]}.")
    return value


def full_name(name: str, namespace: str) -> str:
    """Return the full name that a relative name has in a namespace."""
    if name.startswith("/"):
        return name
    return "/" + "/".join(part for part in f"{namespace}/{name}".split("/") if part)


def fail(event: Any, context: Any) -> None:
    """End the launch with an exit code when a process has ended with one by itself: a handler for OnProcessExit.

    Args:
        event: launch's ProcessExited.
        context: launch's LaunchContext.

    Raises:
        RuntimeError: the process has failed. launch ends everything and returns 1.
    """
    if event.returncode and not context.is_shutdown:
        name = event.process_name.rpartition("-")[0]
        raise RuntimeError(f"{name} has ended with the exit code {event.returncode}.")
