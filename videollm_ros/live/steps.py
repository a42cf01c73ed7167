# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of a session that use the model: each is timed, and one that fails ends the stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from videollm_ros.live.errors import SessionBrokenError

StepKind = Literal["frames", "prompt", "word", "eviction"]


@dataclass(frozen=True)
class Step:
    """A finished step of a session, for timings."""

    kind: StepKind
    """`frames`: one pass over frames, with what stands before them. `prompt`: what opens a reply, with its query.
    `word`: one token of a reply. `eviction`: what moves in the cache to make room."""
    tokens: int
    """Tokens read, or for an eviction the tokens that it freed."""
    seconds: float
    """Duration on the host. Results come to the host within the step, except for an eviction on a GPU."""


class StepGuard:
    """Times the steps, and refuses further ones after a step has failed."""

    def __init__(self, on_step: Callable[[Step], None] | None = None) -> None:
        """Create a guard.

        Args:
            on_step: Called after each step that succeeded.
        """
        self.on_step = on_step
        self.broken = False

    def check(self) -> None:
        """Refuse to go on after a failure.

        Raises:
            SessionBrokenError: A step has failed since the last reset.
        """
        if self.broken:
            raise SessionBrokenError("an earlier step of this session failed: call reset() to begin a new stream")

    @contextmanager
    def step(self, kind: StepKind, tokens: int) -> Iterator[None]:
        """Run the body as one step.

        Raises:
            SessionBrokenError: A step has failed since the last reset.
        """
        self.check()
        began = time.perf_counter()
        try:
            yield
            self.report(kind, tokens, began)
        except BaseException:  # an interrupt in the middle of a step breaks the stream as well
            self.broken = True
            raise

    def report(self, kind: StepKind, tokens: int, began: float) -> None:
        """Tell the listener about a step that began at `began` seconds of `time.perf_counter`."""
        if self.on_step is not None:
            self.on_step(Step(kind, tokens, time.perf_counter() - began))
