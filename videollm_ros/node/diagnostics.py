# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics: how the camera, the model and the speech are doing, once a second."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.qos import ReliabilityPolicy
from rclpy.time import Time

from videollm_ros.assistant.snapshot import StreamSnapshot
from videollm_ros.node.error_log import LastError
from videollm_ros.node.image_stamps import ImageStamps
from videollm_ros.node.image_subscriber import ImageSubscriber


class Rate:
    """Turns a counter into its rate in Hz between two readings."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._count, self._at = 0, time.monotonic()

    def __call__(self, count: int) -> float:
        """Return the rate since the last call."""
        now = time.monotonic()
        rate = max(0, count - self._count) / max(now - self._at, 1e-6)
        self._count, self._at = count, now
        return rate


class CameraDiagnostics:
    """Images in, frames used, frames dropped."""

    def __init__(self) -> None:
        """Begin without images."""
        self._in, self._used, self._dropped = Rate(), Rate(), Rate()

    def status(
        self, camera: ImageSubscriber, stream: StreamSnapshot, error: LastError, stamps: ImageStamps
    ) -> DiagnosticStatus:
        """Return the status of the camera. Rates are since the last call."""
        incoming, used = self._in(camera.received), self._used(stream.frames_used)
        dropping = self._dropped(stream.frames_dropped)
        level, message = DiagnosticStatus.OK, f"{incoming:.1f} Hz in, {used:.1f} Hz used"
        if trouble := camera.diagnose():
            level, message = DiagnosticStatus.WARN, trouble
        elif stream.is_stalled:
            level, message = DiagnosticStatus.WARN, "The stamps of the images stand still: no frame is read."
        elif error.is_current:
            level, message = DiagnosticStatus.WARN, error.sentence
        elif dropping > 0:
            level, message = DiagnosticStatus.WARN, f"The model falls behind: {dropping:.1f} frames dropped per second."
        reliability = camera.reliability or ReliabilityPolicy.UNKNOWN
        values = {
            "topic": camera.topic,
            "publisher": camera.publisher,
            "reliability": reliability.name.lower(),
            "images in (Hz)": f"{incoming:.2f}",
            "frames used (Hz)": f"{used:.2f}",
            "frames dropped (Hz)": f"{dropping:.2f}",
            "frames due": stream.frames_due,
            "frames used": stream.frames_used,
            "frames dropped": stream.frames_dropped,
            "frames skipped as unchanged": stream.context.frames_skipped,
            "frames waiting": stream.frames_waiting,
            "lag behind the newest image (s)": f"{stream.lag:.2f}",
            "clock": stamps.describe() or "as this machine's",
            "images refused": stream.images_refused,
            "images of other publishers": camera.ignored,
            "last error": error.sentence,
        }
        return _status("camera", level, message, values)


def model_status(state: str, checkpoint: str, error: LastError, stream: StreamSnapshot | None) -> DiagnosticStatus:
    """Return the status of the model: state, context, latency, memory and health. `state` is the lifecycle's."""
    level, message = DiagnosticStatus.OK, "loading the model" if state == "configuring" else state
    if error.is_current:
        level, message = DiagnosticStatus.ERROR, error.sentence
    values: dict[str, object] = {"state": state, "checkpoint": checkpoint, "last error": error.sentence}
    if stream is not None:
        if stream.fatal:
            level, message = DiagnosticStatus.ERROR, stream.fatal
        values |= _context(stream) | _health(stream)
        for stage, (mean, worst) in sorted(stream.latency.items()):
            values[f"latency: {stage}, mean (ms)"] = f"{1e3 * mean:.1f}"
            values[f"latency: {stage}, max (ms)"] = f"{1e3 * worst:.1f}"
    values["memory: process (MiB)"] = _resident_bytes() >> 20
    if torch.cuda.is_available():
        device = stream.device if stream is not None and stream.device.type == "cuda" else None
        values["memory: GPU (MiB)"] = torch.cuda.memory_allocated(device) >> 20
    return _status("model", level, message, values)


def _context(stream: StreamSnapshot) -> dict[str, object]:
    context = stream.context
    return {
        "context (tokens)": f"{context.tokens} of {context.max_tokens}",
        "context (%)": f"{100 * context.tokens / context.max_tokens:.1f}",
        "context: frames (tokens)": context.frame_tokens,
        "context: text (tokens)": context.text_tokens,
        "context: evictions": context.evictions,
        "context: oldest frame (stamp)": context.oldest_frame_stamp,
        "context: video held (s)": f"{stream.video_held:.1f}",
    }


def _health(stream: StreamSnapshot) -> dict[str, object]:
    threads = {f"thread: {name}": "alive" if alive else "dead" for name, alive in stream.threads.items()}
    return {
        "failures": stream.faults,
        "recoveries": stream.recoveries,
        "listener failures": stream.listener_failures,
        "last listener failure": stream.last_listener_failure,
        **threads,
    }


def speech_status(stream: StreamSnapshot, error: LastError) -> DiagnosticStatus:
    """Return the status of what is said and asked, and what was held back."""
    level, message = DiagnosticStatus.OK, "muted" if stream.muted else "speaking"
    if error.is_current:
        level, message = DiagnosticStatus.WARN, error.sentence
    values = {
        "muted": str(stream.muted).lower(),
        "utterances": stream.utterances,
        "proactive utterances held back": sum(stream.held_back.values()),
        **{f"held back: {reason}": count for reason, count in stream.held_back.items()},
        "queries waiting": stream.queries_waiting,
        "queries answered": stream.queries_answered,
        "queries failed": stream.queries_failed,
        "queries refused": stream.queries_refused,
        "last error": error.sentence,
    }
    return _status("speech", level, message, values)


def diagnostic_array(node_name: str, now: Time, statuses: list[DiagnosticStatus]) -> DiagnosticArray:
    """Return the statuses as one message, each under the node's name as the aggregator expects it."""
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
