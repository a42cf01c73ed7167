# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image and CompressedImage messages -> uint8 RGB arrays [H, W, 3].

Here only the layout of a message is read (rows, padding, byte order), and checked before a byte of it is used;
colours are converted by cv_bridge where it works, and by rosbags-image otherwise. Messages are taken by their
attributes, so nothing of ROS is imported.

mono16 is scaled from 0..65535 to 0..255: a camera that fills only the low 12 bits gives dark frames.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

MAX_PIXELS = 64 * 2**20  # beyond it an image is taken for an accident or an attack: 192 MiB of RGB
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))  # OpenCV reads it once, when it is imported

import cv2  # noqa: E402

# Encoding as cv_bridge and rosbags-image both know it -> (dtype, numbers per pixel).
_ENCODINGS: dict[str, tuple[type, int]] = {
    "rgb8": (np.uint8, 3),
    "bgr8": (np.uint8, 3),
    "rgba8": (np.uint8, 4),
    "bgra8": (np.uint8, 4),
    "mono8": (np.uint8, 1),
    "mono16": (np.uint16, 1),
    "bayer_rggb8": (np.uint8, 1),
    "bayer_bggr8": (np.uint8, 1),
    "bayer_gbrg8": (np.uint8, 1),
    "bayer_grbg8": (np.uint8, 1),
    "yuv422": (np.uint8, 2),
    "yuv422_yuy2": (np.uint8, 2),
    "nv12": (np.uint8, 1),
}
_SYNONYMS = {
    "uyvy": "yuv422",  # the names since ROS 2 Iron
    "yuyv": "yuv422_yuy2",
    "8UC1": "mono8",  # OpenCV's names, and its order of channels
    "8UC3": "bgr8",
    "8UC4": "bgra8",
    "16UC1": "mono16",
}


class ImageError(ValueError):
    """An image message that cannot be read, and why, as a sentence."""


def to_rgb(message: Any) -> np.ndarray:
    """Convert a sensor_msgs/Image or CompressedImage to uint8 RGB [H, W, 3].

    Raises:
        ImageError: an encoding that is not known, fewer bytes than the layout needs, or bytes that do not decode.
    """
    try:
        if hasattr(message, "format"):
            return _decode(message)
        pixels, encoding = _pixels(message)
        if encoding == "nv12":  # rosbags-image expects its planes in another shape
            return cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_NV12)
        return colour_converter()(pixels, encoding)
    except cv2.error as error:
        raise ImageError(f"OpenCV cannot convert {_describe(message)}: {error.err}.") from error


def _decode(message: Any) -> np.ndarray:
    """JPEG, PNG or whatever else OpenCV reads: [H, W, 3]."""
    data = np.frombuffer(message.data, np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if pixels is None:
        raise ImageError(
            f"A CompressedImage of format {message.format!r} with {data.size} bytes is not an image that OpenCV can "
            "decode: JPEG and PNG are expected (compressedDepth and theora are not supported)."
        )
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _pixels(message: Any) -> tuple[np.ndarray, str]:
    """The numbers [rows, W] or [H, W, channels], without padding, in this machine's byte order; and their encoding."""
    height, width = message.height, message.width
    encoding = _SYNONYMS.get(message.encoding, message.encoding)
    if encoding not in _ENCODINGS:
        known = ", ".join([*_ENCODINGS, *_SYNONYMS])
        raise ImageError(f"The image encoding {message.encoding!r} is not supported; supported are {known}.")
    dtype, channels = _ENCODINGS[encoding]
    if not 0 < height * width <= MAX_PIXELS:
        raise ImageError(f"An image of {width}x{height} pixels was received; 1 to {MAX_PIXELS} pixels are accepted.")
    if encoding == "nv12" and (height % 2 or width % 2):
        raise ImageError(f"An nv12 image has even sides, and {width}x{height} was received.")
    if encoding.startswith("yuv422") and width % 2:  # cv_bridge converts it, to something else
        raise ImageError(f"A yuv422 image has an even width, and {width}x{height} was received.")
    rows = height * 3 // 2 if encoding == "nv12" else height  # below the luma: half as many rows of chroma
    row_bytes = width * channels * np.dtype(dtype).itemsize
    step = message.step or row_bytes
    data = np.frombuffer(message.data, np.uint8)
    if step < row_bytes:
        raise ImageError(f"{_describe(message)} has rows of {row_bytes} bytes, and its step is {step}.")
    needed = step * (rows - 1) + row_bytes  # the last row need not be padded
    if data.size < needed:
        raise ImageError(f"{_describe(message)} with step {step} needs {needed} bytes, and has {data.size}.")
    padded = np.lib.stride_tricks.as_strided(data, (rows, row_bytes), (step, 1))
    numbers = np.ascontiguousarray(padded).view(dtype)
    if dtype is np.uint16 and bool(message.is_bigendian) != (sys.byteorder == "big"):
        numbers = numbers.byteswap()
    return (numbers if channels == 1 else numbers.reshape(height, width, channels)), encoding


def _describe(message: Any) -> str:
    if hasattr(message, "format"):
        return f"a CompressedImage of format {message.format!r}"
    return f"A {message.width}x{message.height} {message.encoding} image"


@functools.cache
def colour_converter() -> Callable[[np.ndarray, str], np.ndarray]:
    """The library that turns pixels of an encoding into RGB: cv_bridge where it works, or else rosbags-image.

    Looked for once, which takes a moment where cv_bridge is installed.
    """
    if not _cv_bridge_works():
        try:
            from rosbags.image import image_to_cvimage
        except ImportError as error:
            raise ImportError(
                "Images are read with cv_bridge, which is not installed or was compiled for another NumPy, or with "
                "rosbags-image: pip install rosbags-image."
            ) from error
        return lambda pixels, encoding: image_to_cvimage(_tight(pixels, encoding), "rgb8")

    from cv_bridge import CvBridge, CvBridgeError

    bridge = CvBridge()

    def convert(pixels: np.ndarray, encoding: str) -> np.ndarray:
        try:
            return bridge.imgmsg_to_cv2(_tight(pixels, encoding), "rgb8")
        except CvBridgeError as error:
            raise ImageError(f"cv_bridge cannot convert {encoding}: {error}.") from error

    return convert


_TRIAL = """
from types import SimpleNamespace
from cv_bridge import CvBridge
pixel = SimpleNamespace(height=1, width=1, encoding="bgr8", is_bigendian=0, step=3, data=bytes(3))
CvBridge().imgmsg_to_cv2(pixel, "rgb8")
"""


def _cv_bridge_works() -> bool:
    """Whether cv_bridge is installed and fits the installed NumPy.

    Tried in a process of its own: where it was compiled for another major version of NumPy, the first conversion is a
    segmentation fault.
    """
    if importlib.util.find_spec("cv_bridge") is None:
        return False
    return subprocess.run([sys.executable, "-c", _TRIAL], capture_output=True, check=False).returncode == 0


def _tight(pixels: np.ndarray, encoding: str) -> SimpleNamespace:
    """The pixels as an Image message without padding, in this machine's byte order."""
    return SimpleNamespace(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=sys.byteorder == "big",
        step=pixels[0].nbytes,
        data=pixels.data,
    )
