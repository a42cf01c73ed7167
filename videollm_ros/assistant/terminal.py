# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An assistant in a terminal: plays a video or a webcam, prints what is said, and takes questions from the keyboard."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future

from rich.console import Console
from rich.text import Text

from videollm_ros.assistant.listeners import StreamListener
from videollm_ros.assistant.queries import QueryError
from videollm_ros.assistant.stream import AssistantStream
from videollm_ros.assistant.updates import UtteranceUpdate
from videollm_ros.media.video import VideoFrame


class TerminalOutput(StreamListener):
    """Prints a line for everything that happens."""

    def __init__(self, console: Console, *, show_held_back: bool = False) -> None:
        """Print to `console`. With `show_held_back` also what is not said aloud."""
        self._console, self._show_held_back = console, show_held_back

    def on_utterance(self, update: UtteranceUpdate) -> None:
        """Print an utterance, and the query that it answers."""
        if update.query is not None:
            self._print(update.stamp, f"You: {update.query.text}", "cyan")
        cut_off = " ..." if update.truncated else ""
        self._print(update.stamp, update.text + cut_off, "bold" if update.query is None else "bold green")

    def on_held_back(self, update: UtteranceUpdate) -> None:
        """Print what was not said aloud, and why."""
        if self._show_held_back and update.held_back is not None:
            self._print(update.stamp, f"({update.held_back.name.lower()}) {update.text}", "dim")

    def on_stream_began(self, reason: str) -> None:
        """Print that everything was forgotten."""
        self.say(f"A new stream begins: {reason}.")

    def on_image_refused(self, sentence: str) -> None:
        """Print that an image could not be read."""
        self.say(sentence)

    def on_warning(self, sentence: str) -> None:
        """Print something odd."""
        self.say(sentence)

    def on_failure(self, sentence: str) -> None:
        """Print a failure."""
        self.say(sentence)

    def on_fatal(self, sentence: str) -> None:
        """Print the end."""
        self.say(sentence)

    def say(self, sentence: str) -> None:
        """Print a sentence of the program's own."""
        self._console.print(Text(sentence, "yellow"))

    def _print(self, stamp: float, text: str, style: str) -> None:
        self._console.print(Text.assemble((f"{stamp:7.1f} s  ", "dim"), (text, style)))


def take_questions(stream: AssistantStream, output: TerminalOutput, lines: Iterable[str] | None) -> threading.Thread:
    """Ask every line that is typed, in a thread of its own that ends with the lines or with the process.

    Args:
        stream: Answers.
        output: Where it is said that a question was refused, or that no more can be read.
        lines: The lines. `sys.stdin` is None in a process that was started without a standard input.
    """

    def answered(answer: Future[UtteranceUpdate]) -> None:
        if error := answer.exception():
            output.say(str(error))

    def ask(question: str) -> None:
        if not question:
            return
        try:
            stream.ask(question).answer.add_done_callback(answered)
        except QueryError as error:
            output.say(str(error))

    def read() -> None:
        try:
            for line in lines or ():
                ask(line.strip())
        except (OSError, ValueError) as error:  # the terminal has gone, the file was closed, or it is not text
            output.say(f"No more questions can be read: {error}")

    thread = threading.Thread(target=read, name="questions", daemon=True)
    thread.start()
    return thread


def play(stream: AssistantStream, frames: Iterable[VideoFrame], *, fast: bool) -> None:
    """Show the frames to a stream, and wait until all that they lead to has been said.

    Args:
        stream: What watches.
        frames: They come with their media times, in seconds. A webcam gives them when they happen.
        fast: Show them as fast as they are read, and drop none. Otherwise in real time.
    """
    started = time.monotonic()
    for frame in frames:
        if not fast:
            time.sleep(max(0.0, started + frame.time - time.monotonic()))
        # Only what is due is converted; the others are not worth their pixels.
        stream.offer(frame, frame.time, wait=fast)
        if stream.fatal:
            return
    stream.wait_until_idle()
