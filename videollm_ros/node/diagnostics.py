# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics: how the camera, the model and the speech are doing, once a second."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import ReliabilityPolicy
from rclpy.time import Time

from videollm_ros.assistant.queries import QueryDesk
from videollm_ros.assistant.scheduler import Inbox
from videollm_ros.assistant.speech_policy import Manners
from videollm_ros.assistant.worker import Inference
from videollm_ros.node.image_subscriber import ImageSubscriber

ERROR_SECONDS = 10.0  # an error colours the diagnostics for so long
LOG_PERIOD = 1.0  # seconds between two lines in the log of the same error


@dataclass
class LastError:
    """The newest error of one part of the node, kept for the diagnostics. Times are seconds, monotonic."""

    sentence: str = ""
    lasting: bool = False  # until `clear`
    _at: float = -math.inf
    _logged: float = -math.inf

    def note(self, sentence: str, *, lasting: bool = False) -> bool:
        """Keep it. Returns whether it is worth a line in the log: another one, or the same after a while."""
        now = time.monotonic()
        is_news = sentence != self.sentence or now - self._logged >= LOG_PERIOD
        if is_news:
            self._logged = now
        self.sentence, self.lasting, self._at = sentence, lasting, now
        return is_news

    def clear(self) -> None:
        """What was wrong has been put right; the sentence is kept."""
        self.lasting, self._at = False, -math.inf

    @property
    def is_current(self) -> bool:
        return self.lasting or time.monotonic() - self._at < ERROR_SECONDS


class Rate:
    """Turns a counter into its rate in Hz between two readings."""

    def __init__(self) -> None:
        self._count, self._at = 0, time.monotonic()

    def __call__(self, count: int) -> float:
        now = time.monotonic()
        rate = max(0, count - self._count) / max(now - self._at, 1e-6)
        self._count, self._at = count, now
        return rate


class CameraDiagnostics:
    """Images in, frames used, frames dropped."""

    def __init__(self) -> None:
        self._in, self._used, self._dropped = Rate(), Rate(), Rate()

    def status(self, camera: ImageSubscriber, inbox: Inbox, inference: Inference, error: LastError) -> DiagnosticStatus:
        incoming, used = self._in(camera.received), self._used(inference.frames_used)
        dropping = self._dropped(inbox.dropped)
        level, message = DiagnosticStatus.OK, f"{incoming:.1f} Hz in, {used:.1f} Hz used"
        if trouble := camera.diagnose():
            level, message = DiagnosticStatus.WARN, trouble
        elif error.is_current:
            level, message = DiagnosticStatus.WARN, error.sentence
        elif dropping > 0:
            level, message = DiagnosticStatus.WARN, f"The model falls behind: {dropping:.1f} frames dropped per second."
        reliability = camera.reliability or ReliabilityPolicy.UNKNOWN
        return _status(
            "camera",
            level,
            message,
            {
                "topic": camera.topic,
                "publisher": camera.publisher,
                "reliability": reliability.name.lower(),
                "images in (Hz)": f"{incoming:.2f}",
                "frames used (Hz)": f"{used:.2f}",
                "frames dropped (Hz)": f"{dropping:.2f}",
                "frames due": inbox.due,
                "frames used": inference.frames_used,
                "frames dropped": inbox.dropped,
                "frames skipped as unchanged": inference.state.frames_skipped,
                "frames waiting": inbox.waiting,
                "lag behind the newest image (s)": f"{max(0.0, inbox.newest - inference.newest):.2f}",
                "images refused": inference.image_errors,
                "images of other publishers": camera.ignored,
                "last error": error.sentence,
            },
        )


def model_status(state: str, checkpoint: str, error: LastError, inference: Inference | None) -> DiagnosticStatus:
    """State, context, latency and memory. Latencies are since the last call; `state` is the lifecycle's."""
    level, message = DiagnosticStatus.OK, state
    if error.is_current:
        level, message = DiagnosticStatus.ERROR, error.sentence
    values = {"state": state, "checkpoint": checkpoint, "last error": error.sentence}
    if inference is not None:
        context = inference.state
        values |= {
            "context (tokens)": f"{context.tokens} of {context.max_tokens}",
            "context (%)": f"{100 * context.tokens / context.max_tokens:.1f}",
            "context: frames (tokens)": context.frame_tokens,
            "context: text (tokens)": context.text_tokens,
            "context: evictions": context.evictions,
            "context: oldest frame (stamp)": context.oldest_frame_stamp,
        }
        for stage, (mean, worst) in sorted(inference.latency.take().items()):
            values[f"latency: {stage}, mean (ms)"] = f"{1e3 * mean:.1f}"
            values[f"latency: {stage}, max (ms)"] = f"{1e3 * worst:.1f}"
    values["memory: process (MiB)"] = _resident_bytes() >> 20
    if torch.cuda.is_available():
        device = inference.device if inference is not None and inference.device.type == "cuda" else None
        values["memory: GPU (MiB)"] = torch.cuda.memory_allocated(device) >> 20
    return _status("model", level, message, values)


def speech_status(manners: Manners, desk: QueryDesk, inference: Inference, error: LastError) -> DiagnosticStatus:
    """What is said and asked, and what was held back; `error` is the newest of queries."""
    muted = manners.rules.muted
    level, message = DiagnosticStatus.OK, "muted" if muted else "speaking"
    if error.is_current:
        level, message = DiagnosticStatus.WARN, error.sentence
    return _status(
        "speech",
        level,
        message,
        {
            "muted": str(muted).lower(),
            "unasked utterances held back": inference.held_back,
            "queries waiting": desk.outstanding,
            "queries refused": desk.refused,
            "last error": error.sentence,
        },
    )


def diagnostic_array(node_name: str, now: Time, statuses: list[DiagnosticStatus]) -> DiagnosticArray:
    """The statuses as one message, each under the node's name as the aggregator expects it."""
    message = DiagnosticArray(status=statuses)
    message.header.stamp = now.to_msg()
    for status in statuses:
        status.name = f"{node_name}: {status.name}"
        status.hardware_id = node_name
    return message


def _resident_bytes() -> int:
    """Memory that this process occupies now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _status(name: str, level: bytes, message: str, values: dict[str, object]) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(name=name, level=level, message=message, values=pairs)
