# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Say a text aloud through what the robot has: an action server of a speech package, or a program such as espeak-ng.

The packages are imported only when they are used, because none of them is needed otherwise, and because two
different packages share the name audio_common_msgs.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
from rclpy.action import ActionClient
from rclpy.node import Node


class VoiceError(RuntimeError):
    """Report in a sentence why nothing can be said aloud."""


class Voice(Protocol):
    """Something that says one text at a time."""

    name: str

    @property
    def is_available(self) -> bool:
        """Whether it can speak now."""

    @property
    def is_speaking(self) -> bool:
        """Whether the last text is still being said."""

    def say(self, text: str) -> None:
        """Begin to say a text. Raises VoiceError when that is impossible."""

    def stop(self) -> None:
        """Stop at once."""


@dataclass(frozen=True)
class Engine:
    """A speech package: its action, where its server is, and how a goal is filled in."""

    name: str
    types: tuple[str, ...]
    """module:class of the action, the first that exists."""
    server: str
    goal: Callable[[str], Mapping[str, object]]
    """Text -> field of the goal, dotted where nested, -> value."""
    stop: Mapping[str, object] | None = None
    """Goal that stops the speech, where the server refuses to cancel one."""


ENGINES = (
    Engine(
        "communication_skills",
        ("communication_skills.action:Say",),
        "/skill/say",
        lambda text: {"input": text},
    ),
    Engine(
        "tts_msgs",
        ("tts_msgs.action:TTS",),
        "/tts_engine/tts",
        lambda text: {"input": text},
    ),
    Engine(
        "audio_common",  # the package of whisper_ros; the other one of this name has no TTS
        ("audio_common_msgs.action:TTS",),
        "/say",
        lambda text: {"text": text},
    ),
    Engine(
        "sound_play",
        ("sound_play_msgs.action:SoundRequest", "sound_play.action:SoundRequest"),
        "/sound_play",
        lambda text: {  # SAY, PLAY_ONCE
            "sound_request.sound": -3,
            "sound_request.command": 1,
            "sound_request.volume": 1.0,
            "sound_request.arg": text,
        },
        # Its server refuses every cancel request. It stops on the request ALL, PLAY_STOP.
        stop={"sound_request.sound": -1, "sound_request.command": 0},
    ),
)
PROCESS = "process"
NAMES = ("auto", *(engine.name for engine in ENGINES), PROCESS)


class ActionVoice:
    """Speaks through the action server of a speech package."""

    def __init__(self, node: Node, engine: Engine) -> None:
        """Look for the engine's package and its server.

        Raises:
            VoiceError: the package is not installed.
        """
        self.name = engine.name
        self._node, self._engine = node, engine
        self.action_type = _first_type(engine)
        self._client = ActionClient(node, self.action_type, engine.server)
        self._goal: Any = None  # the accepted goal's handle
        self._speaking = False
        self._wanted = 0  # number of the newest text: late callbacks of older ones change nothing

    @property
    def is_available(self) -> bool:
        """Whether the server is there."""
        return bool(self._client.server_is_ready())

    @property
    def is_speaking(self) -> bool:
        """Whether the goal has no result yet."""
        return self._speaking and self.is_available  # a server that has died sends no result

    def say(self, text: str) -> None:
        """Send the goal."""
        if not self.is_available:
            raise VoiceError(f"The action server {self._engine.server} of {self.name} is not there.")
        self._speaking, self._goal = True, None
        self._wanted += 1
        number = self._wanted
        sent = self._client.send_goal_async(self._filled_in(self._engine.goal(text)))
        sent.add_done_callback(lambda future: self._accepted(number, future.result()))

    def stop(self) -> None:
        """Cancel the goal. One that is not accepted yet is cancelled as soon as it is."""
        self._wanted += 1
        self._speaking = False
        if self._goal is not None:
            self._cancel(self._goal)
            self._goal = None

    def _filled_in(self, fields: Mapping[str, object]) -> Any:
        goal = self.action_type.Goal()
        for path, value in fields.items():
            *parents, field = path.split(".")
            part = goal
            for parent in parents:
                part = getattr(part, parent)
            setattr(part, field, value)
        return goal

    def _cancel(self, goal: Any) -> None:
        if self._engine.stop is not None:
            self._client.send_goal_async(self._filled_in(self._engine.stop))
        else:
            goal.cancel_goal_async().add_done_callback(lambda future: self._cancelled(future.result()))

    def _cancelled(self, response: Any) -> None:
        if response.return_code == CancelGoal.Response.ERROR_REJECTED:
            self._node.get_logger().warning(f"{self.name} refused to stop a line.", throttle_duration_sec=10.0)

    def _accepted(self, number: int, goal: Any) -> None:
        if number != self._wanted:
            if goal.accepted:
                self._cancel(goal)
            return
        if not goal.accepted:
            self._node.get_logger().warning(f"{self.name} refused to say a line.", throttle_duration_sec=10.0)
            self._speaking = False
            return
        self._goal = goal
        goal.get_result_async().add_done_callback(lambda future: self._finished(number, future.result()))

    def _finished(self, number: int, response: Any) -> None:
        if number != self._wanted:
            return
        self._speaking, self._goal = False, None
        if response.status == GoalStatus.STATUS_ABORTED:
            self._node.get_logger().warning(f"{self.name} failed to say a line.", throttle_duration_sec=10.0)


class ProcessVoice:
    """Speaks by a program that reads the text from its standard input, such as `espeak-ng --stdin`."""

    name = PROCESS

    def __init__(self, command: str) -> None:
        """Take the program and its options as one string, split as a shell splits words. No shell is started.

        Raises:
            VoiceError: the command is empty or its program is not installed.
        """
        self._command = shlex.split(command)
        if not self._command or shutil.which(self._command[0]) is None:
            raise VoiceError(f"The program of the command {command!r} is not installed.")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_available(self) -> bool:
        """Whether the program is there."""
        return True

    @property
    def is_speaking(self) -> bool:
        """Whether the program still runs."""
        return self._process is not None and self._process.poll() is None

    def say(self, text: str) -> None:
        """Start the program and hand it the text."""
        try:
            # A text goes to standard input, so that none can be read as an option.
            process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            with process.stdin:  # type: ignore[union-attr] # it is a pipe
                process.stdin.write(text.encode())  # type: ignore[union-attr]
            self._process = process
        except OSError as error:
            raise VoiceError(f"{self._command[0]} cannot be started: {error}") from error

    def stop(self) -> None:
        """End the program."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def open_voices(node: Node, engine: str, command: str) -> list[Voice]:
    """Return the voices to choose from, best first.

    Args:
        node: the node that owns the action clients.
        engine: one of NAMES. auto takes all that are installed.
        command: the program that speaks where no action server does.

    Raises:
        VoiceError: the engine that was asked for is not installed, or for auto not one is.
    """
    voices: list[Voice] = []
    problems = []
    for each in ENGINES:
        if engine in ("auto", each.name):
            try:
                voices.append(ActionVoice(node, each))
            except VoiceError as error:
                problems.append(str(error))
    if engine in ("auto", PROCESS):
        try:
            voices.append(ProcessVoice(command))
        except VoiceError as error:
            problems.append(str(error))
    if not voices:
        raise VoiceError(" ".join(problems))
    return voices


def _first_type(engine: Engine) -> Any:
    for name in engine.types:
        module, cls = name.split(":")
        try:
            return getattr(import_module(module), cls)
        except (ImportError, AttributeError):
            continue
    raise VoiceError(f"The package of {engine.types[0].split('.')[0]} is not installed.")
