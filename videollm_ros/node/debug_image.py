# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publish what the assistant sees: each frame read, with what was said last, the speak probability and the stamp."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNodeMixin
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage

from videollm_ros.assistant.frames import Frame
from videollm_ros.assistant.listeners import StreamListener
from videollm_ros.assistant.updates import UtteranceUpdate
from videollm_ros.live import FrameDecision

WIDTH = 480
"""Pixels. The model sees no more, and RViz over Wi-Fi stays fluid."""

BAR = 10  # height of the probability bar in pixels
FONT, SCALE, LINE = cv2.FONT_HERSHEY_SIMPLEX, 0.5, 20
QUIET, SPEAKS, INK, THRESHOLD = (150, 150, 150), (60, 200, 90), (255, 255, 255), (60, 60, 230)  # BGR
EXACTLY_ONE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


def draw(rgb: NDArray[np.uint8], decision: FrameDecision, caption: str) -> NDArray[np.uint8]:
    """Draw caption, probability bar and stamp on a frame.

    Args:
        rgb: uint8 RGB [H, W, 3] of any size.
        decision: What was decided after the frame.
        caption: What was said last.

    Returns:
        uint8 BGR [h, WIDTH, 3].
    """
    height = max(4 * LINE, round(rgb.shape[0] * WIDTH / rgb.shape[1]))
    canvas = cv2.cvtColor(cv2.resize(rgb, (WIDTH, height), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    lines = _wrapped(caption)
    top = height - BAR - LINE * (len(lines) + 1)
    canvas[max(0, top) :] = canvas[max(0, top) :] // 3  # darker below the text
    status = f"{decision.stamp:.2f} s   p(speak) {decision.speak_probability:.2f}"
    for index, line in enumerate([*lines, status]):
        cv2.putText(canvas, line, (8, top + LINE * index + 15), FONT, SCALE, INK, 1, cv2.LINE_AA)
    filled = round(WIDTH * min(max(decision.speak_probability, 0.0), 1.0))
    canvas[height - BAR :, :filled] = SPEAKS if decision.speaks else QUIET
    mark = min(WIDTH - 2, round(WIDTH * (1 - decision.threshold)))  # it speaks when silence has less than the threshold
    canvas[height - BAR :, mark : mark + 2] = THRESHOLD
    return np.asarray(canvas, np.uint8)


def _wrapped(text: str) -> list[str]:
    """Break a caption into the last three lines that fit the picture. OpenCV's font has ASCII letters only."""
    lines = [""]
    for word in text.encode("ascii", "replace").decode().split():
        candidate = f"{lines[-1]} {word}".strip()
        if cv2.getTextSize(candidate, FONT, SCALE, 1)[0][0] <= WIDTH - 16 or not lines[-1]:
            lines[-1] = candidate
        else:
            lines.append(word)
    return lines[-3:] if lines[-1] else []


class DebugImage(StreamListener):
    """Publishes `~/debug_image`. While nobody subscribes, no pixels are kept and nothing is drawn."""

    def __init__(self, node: LifecycleNodeMixin) -> None:
        """Make the publisher on a lifecycle node."""
        self._images = node.create_lifecycle_publisher(CompressedImage, "~/debug_image", EXACTLY_ONE)
        self._caption = ""

    def wants_pixels(self) -> bool:
        """Return whether somebody looks."""
        return bool(self._images.get_subscription_count() > 0)

    def on_frame(self, frame: Frame, decision: FrameDecision) -> None:
        """Draw and publish the frame."""
        if frame.pixels is None:
            return
        jpeg = cv2.imencode(".jpg", draw(frame.pixels, decision, self._caption))[1]
        message = CompressedImage(header=frame.tag, format="bgr8; jpeg compressed bgr8")
        message.data.frombytes(jpeg.tobytes())
        self._images.publish(message)

    def on_utterance(self, update: UtteranceUpdate) -> None:
        """Take the caption of the frames to come."""
        self._caption = update.text

    def on_stream_began(self, reason: str) -> None:
        """Forget the caption."""
        self._caption = ""
