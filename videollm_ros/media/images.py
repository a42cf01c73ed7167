# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert Image and CompressedImage messages to uint8 RGB arrays [H, W, 3].

The layout of a message (rows, padding, byte order) is checked before a byte of it is used. OpenCV converts the colors.
Messages are read by their attributes, so this module imports nothing of ROS.

mono16 is scaled from 0..65535 to 0..255: a camera that fills only the low 12 bits gives dark frames.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from videollm_ros.media.compressed import DEFAULT_FORMATS, decode_compressed
from videollm_ros.media.errors import ImageError, quoted

MAX_PIXELS = 64 * 2**20  # more is taken for an accident or an attack: 192 MiB of RGB

Pixels = NDArray[Any]
Rgb = NDArray[np.uint8]


def _with_opencv(code: int) -> Callable[[Pixels], Rgb]:
    """Return a decoder that is one conversion of OpenCV."""
    return lambda pixels: np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _mono16(pixels: Pixels) -> Rgb:
    """Scale 0..65535 to 0..255 and repeat the one channel."""
    return np.asarray(cv2.cvtColor((pixels // 257).astype(np.uint8), cv2.COLOR_GRAY2RGB), np.uint8)


@dataclass(frozen=True)
class _Encoding:
    """How one encoding is laid out, and how its numbers become RGB."""

    decode: Callable[[Pixels], Rgb]  # [rows, W] or [rows, W, channels] -> [H, W, 3]
    channels: int = 1  # numbers per pixel
    dtype: type[np.generic] = np.uint8
    even: str = ""  # sides that must be even: "width", "width and height"
    chroma_rows: bool = False  # half as many rows of chroma follow those of luma


# OpenCV names a Bayer pattern by the second pixel of the second row, ROS by the first of the first.
_ENCODINGS = {
    "rgb8": _Encoding(lambda pixels: pixels, channels=3),
    "bgr8": _Encoding(_with_opencv(cv2.COLOR_BGR2RGB), channels=3),
    "rgba8": _Encoding(_with_opencv(cv2.COLOR_RGBA2RGB), channels=4),
    "bgra8": _Encoding(_with_opencv(cv2.COLOR_BGRA2RGB), channels=4),
    "mono8": _Encoding(_with_opencv(cv2.COLOR_GRAY2RGB)),
    "mono16": _Encoding(_mono16, dtype=np.uint16),
    "bayer_rggb8": _Encoding(_with_opencv(cv2.COLOR_BayerBG2RGB)),
    "bayer_bggr8": _Encoding(_with_opencv(cv2.COLOR_BayerRG2RGB)),
    "bayer_gbrg8": _Encoding(_with_opencv(cv2.COLOR_BayerGR2RGB)),
    "bayer_grbg8": _Encoding(_with_opencv(cv2.COLOR_BayerGB2RGB)),
    "yuv422": _Encoding(_with_opencv(cv2.COLOR_YUV2RGB_UYVY), channels=2, even="width"),
    "yuv422_yuy2": _Encoding(_with_opencv(cv2.COLOR_YUV2RGB_YUY2), channels=2, even="width"),
    "nv12": _Encoding(_with_opencv(cv2.COLOR_YUV2RGB_NV12), even="width and height", chroma_rows=True),
}
_SYNONYMS = {
    "uyvy": "yuv422",  # the names since ROS 2 Iron
    "yuyv": "yuv422_yuy2",
    "8UC1": "mono8",  # OpenCV's names, and its order of channels
    "8UC3": "bgr8",
    "8UC4": "bgra8",
    "16UC1": "mono16",
}


def to_rgb(message: Any, formats: str = DEFAULT_FORMATS) -> Rgb:
    """Convert a sensor_msgs/Image or CompressedImage to uint8 RGB [H, W, 3].

    Args:
        message: anything with the attributes of one of the two messages.
        formats: which compressed formats are accepted, a key of `compressed.FORMATS`.

    Raises:
        ImageError: The encoding is not known, there are fewer bytes than the layout needs, or the bytes cannot be
            decoded. The sentence quotes at most 200 characters of the message.
    """
    if hasattr(message, "format"):
        return decode_compressed(bytes(message.data), str(message.format), formats)
    encoding = _encoding(message.encoding)
    pixels = _unpack(message, encoding)
    try:
        return encoding.decode(pixels)
    except cv2.error as error:
        raise ImageError(f"OpenCV cannot convert {_describe(message)}: {quoted(error.err)}.") from error


def _encoding(name: str) -> _Encoding:
    encoding = _ENCODINGS.get(_SYNONYMS.get(name, name))
    if encoding is not None:
        return encoding
    nearest = difflib.get_close_matches(name[:40], [*_ENCODINGS, *_SYNONYMS], n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else "docs/ros.md lists the encodings that are."
    raise ImageError(f"The image encoding {quoted(name)} is not supported: {hint}")


def _unpack(message: Any, encoding: _Encoding) -> Pixels:
    """Return the numbers [rows, W] or [rows, W, channels], without padding and in the byte order of this machine."""
    height, width = message.height, message.width
    if not 0 < height * width <= MAX_PIXELS:
        raise ImageError(f"An image of {width}x{height} pixels was received; 1 to {MAX_PIXELS} pixels are accepted.")
    if ("width" in encoding.even and width % 2) or ("height" in encoding.even and height % 2):
        raise ImageError(f"The {encoding.even} of {_describe(message)} must be even.")
    item_bytes = np.dtype(encoding.dtype).itemsize
    row_bytes = width * encoding.channels * item_bytes
    step = message.step or row_bytes
    if step < row_bytes:
        raise ImageError(f"The rows of {_describe(message)} take {row_bytes} bytes, and its step is {step}.")
    if step % item_bytes:
        raise ImageError(f"The step of {_describe(message)} must be a multiple of {item_bytes}, and is {step}.")
    rows = height * 3 // 2 if encoding.chroma_rows else height
    data = np.frombuffer(message.data, np.uint8)
    needed = step * (rows - 1) + row_bytes  # the last row need not be padded
    if data.size < needed:
        raise ImageError(f"{_describe(message)} with step {step} needs {needed} bytes, and has {data.size}.")
    padded = np.lib.stride_tricks.as_strided(data, (rows, row_bytes), (step, 1))
    numbers = np.ascontiguousarray(padded).view(encoding.dtype)
    if item_bytes > 1 and bool(message.is_bigendian) != (sys.byteorder == "big"):
        numbers = numbers.byteswap()
    return numbers if encoding.channels == 1 else numbers.reshape(height, width, encoding.channels)


def _describe(message: Any) -> str:
    return f"A {message.width}x{message.height} {message.encoding} image"
