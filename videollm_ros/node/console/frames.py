# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The newest images of one camera, found by their stamp, as pictures that a browser can show."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

import cv2
from numpy.typing import NDArray

from videollm_ros.media.errors import ImageError
from videollm_ros.media.images import to_rgb

MAX_BYTES = 64 * 2**20  # of images kept as they came
MAX_MESSAGES = 600
MAX_SHOWN = 300  # pictures that were shown: a minute at 5 Hz
MAX_SHOWN_BYTES = 16 * 2**20
MAX_PINNED = 100  # pictures that made the assistant speak
MAX_SIDE = 1280  # pixels; larger raw images are made smaller
JPEG_QUALITY = 80
NEAR = 1_000_000_000  # nanoseconds: a picture farther away than this is not the frame that was meant

# First bytes -> media type of what every browser shows.
_SIGNATURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


@dataclass(frozen=True)
class Picture:
    """An encoded image. `stamp` is in nanoseconds."""

    stamp: int
    data: bytes
    media_type: str


def picture_of(message: Any, stamp: int) -> Picture:
    """Encode an image message. The bytes of a JPEG or a PNG are passed through as they are.

    Args:
        message: A sensor_msgs/Image or sensor_msgs/CompressedImage.
        stamp: Nanoseconds.

    Raises:
        ImageError: The image cannot be read.
    """
    if not hasattr(message, "encoding"):
        data = bytes(message.data)
        for signature, media_type in _SIGNATURES.items():
            if data.startswith(signature):
                return Picture(stamp, data, media_type)
    rgb: NDArray[Any] = to_rgb(message)
    height, width = rgb.shape[:2]
    if (scale := MAX_SIDE / max(height, width)) < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ImageError(f"An image of {width} x {height} pixels could not be encoded as JPEG.")
    return Picture(stamp, jpeg.tobytes(), "image/jpeg")


class FrameStore:
    """Keeps images for a while: as they came, those that were shown, and those that made the assistant speak.

    Bounded in bytes and in number. Any thread may use it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._encoding = threading.Lock()  # one thread encodes, the others find its picture
        self._messages: deque[tuple[int, Any]] = deque()
        self._bytes = 0
        self._shown: deque[Picture] = deque(maxlen=MAX_SHOWN)
        self._shown_bytes = 0
        self._pinned: OrderedDict[int, Picture] = OrderedDict()

    @property
    def newest_stamp(self) -> int | None:
        """Return the stamp of the newest image in nanoseconds, or None."""
        with self._lock:
            return self._messages[-1][0] if self._messages else None

    def add(self, stamp: int, message: Any) -> None:
        """Keep an image message with its stamp in nanoseconds."""
        with self._lock:
            self._messages.append((stamp, message))
            self._bytes += len(message.data)
            while len(self._messages) > 1 and (self._bytes > MAX_BYTES or len(self._messages) > MAX_MESSAGES):
                self._bytes -= len(self._messages.popleft()[1].data)

    def clear(self) -> None:
        """Forget the images. Those that made the assistant speak stay."""
        with self._lock:
            self._messages.clear()
            self._shown.clear()
            self._bytes = self._shown_bytes = 0

    def newest(self) -> Picture | None:
        """Return the newest image, encoded once however many ask, or None when there is none.

        Raises:
            ImageError: It cannot be read.
        """
        with self._encoding:
            with self._lock:
                if not self._messages:
                    return None
                stamp, message = self._messages[-1]
                if self._shown and self._shown[-1].stamp == stamp:
                    return self._shown[-1]
            picture = picture_of(message, stamp)
            with self._lock:
                self._show(picture)
            return picture

    def _show(self, picture: Picture) -> None:
        if len(self._shown) == MAX_SHOWN:
            self._shown_bytes -= len(self._shown[0].data)
        self._shown.append(picture)
        self._shown_bytes += len(picture.data)
        while len(self._shown) > 1 and self._shown_bytes > MAX_SHOWN_BYTES:
            self._shown_bytes -= len(self._shown.popleft().data)

    def pin(self, stamp: int) -> int | None:
        """Keep the picture of the frame with this stamp for later, or the nearest one there is.

        Returns:
            The stamp of the picture, or None when there is none within a second.

        Raises:
            ImageError: The image cannot be read.
        """
        with self._lock:
            if stamp in self._pinned:
                return stamp
            exact = next((message for at, message in reversed(self._messages) if at == stamp), None)
            candidates = [(abs(at - stamp), at, message) for at, message in self._messages]
            candidates += [(abs(picture.stamp - stamp), picture.stamp, picture) for picture in self._shown]
        if exact is not None:
            found: Any = exact
            at = stamp
        else:
            distance, at, found = min(candidates, key=lambda each: each[0], default=(NEAR + 1, 0, None))
            if distance > NEAR:
                return None
        picture = found if isinstance(found, Picture) else picture_of(found, at)
        with self._lock:
            self._pinned[at] = picture
            while len(self._pinned) > MAX_PINNED:
                self._pinned.popitem(last=False)
        return at

    def pinned(self, stamp: int) -> Picture | None:
        """Return the picture that `pin` kept under this stamp, or None."""
        with self._lock:
            return self._pinned.get(stamp)
