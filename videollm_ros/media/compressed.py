# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decode JPEG and PNG bytes from a peer, with bounded memory and time.

Pillow decodes. Unlike OpenCV, it takes a list of the formats it may try, never allocates what a length field claims,
and raises an exception where libpng and libjpeg would print to stderr.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from videollm_ros.media.errors import ImageError, quoted

# Beside the result there is Pillow's own copy of 4 bytes per pixel: 48 MiB at the most.
MAX_PIXELS = 4096 * 3072
# A JPEG of several scans needs up to 8 bytes per pixel more for its coefficients, and time for every scan.
MAX_PIXELS_OF_SCANS = 2048 * 2048
MAX_SCANS = 64  # a usual progressive JPEG has 10
STRIP = 256  # rows that are converted at a time

DEFAULT_FORMATS = "jpeg_png"
FORMATS = {
    "jpeg_png": ("JPEG", "PNG"),
    "all": ("JPEG", "PNG", "WEBP", "TIFF", "BMP"),
}
_ORIENTATION = 0x0112  # the EXIF tag
# EXIF orientation -> quarter turns counterclockwise, and whether the picture is then mirrored left to right.
_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}

# `decode_compressed` refuses such images itself, with a sentence and a lower limit.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def decode_compressed(data: bytes, claimed: str, formats: str = DEFAULT_FORMATS) -> NDArray[np.uint8]:
    """Decode one image to uint8 RGB [H, W, 3]. An EXIF orientation is applied, transparency is dropped.

    Args:
        data: the bytes of the file.
        claimed: the format that the sender names. It appears in errors only: the bytes decide.
        formats: a key of `FORMATS`.

    Raises:
        ImageError: The bytes are not a whole image of an accepted format, or the image is too large.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS[formats]) as image:
            _check_size(image, data)
            return _turned(_to_array(image), image)
    except ImageError:
        raise
    except Exception as error:  # the parsers raise nearly anything on malformed bytes
        accepted = ", ".join(FORMATS[formats])
        raise ImageError(
            f"A CompressedImage of format {quoted(claimed)} with {len(data)} bytes cannot be decoded as one of "
            f"{accepted}: {quoted(error)}."
        ) from error


def _check_size(image: Image.Image, data: bytes) -> None:
    """Refuse an image before anything is allocated for its pixels."""
    width, height = image.size
    limit = MAX_PIXELS
    if image.format in ("JPEG", "MPO") and (scans := _count_scans(image, data)) > 1:
        limit = MAX_PIXELS_OF_SCANS
        if scans > MAX_SCANS:
            raise ImageError(f"A JPEG of {scans} scans was received; at most {MAX_SCANS} are accepted.")
    if not 0 < width * height <= limit:
        kind = "a progressive JPEG" if limit == MAX_PIXELS_OF_SCANS else "a compressed image"
        raise ImageError(f"{width}x{height} pixels were received; {kind} may have 1 to {limit}.")


def _count_scans(image: Image.Image, data: bytes) -> int:
    """Return how many scans a JPEG may have. Inside a scan, FF is followed by 00 or a restart marker."""
    scans = data.count(b"\xff\xda")
    return max(scans, 2) if "progressive" in image.info else scans


def _to_array(image: Image.Image) -> NDArray[np.uint8]:
    """Copy the pixels strip by strip, so that there is no second copy of the whole picture."""
    image.load()
    width, height = image.size
    rgb = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, STRIP):
        strip = image.crop((0, top, width, min(top + STRIP, height)))
        if strip.mode in ("I", "F") or strip.mode.startswith("I;16"):
            rgb[top : top + STRIP] = _from_16_bits(np.asarray(strip))[..., None]
        else:
            rgb[top : top + STRIP] = np.asarray(strip.convert("RGB"))
    return rgb


def _from_16_bits(numbers: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale gray levels 0..65535 to 0..255."""
    if numbers.dtype.kind == "f":
        raise ImageError("An image of floating-point numbers was received: gray levels or colors are expected.")
    return (numbers.astype(np.uint32) >> 8).astype(np.uint8)


def _turned(rgb: NDArray[np.uint8], image: Image.Image) -> NDArray[np.uint8]:
    """Apply the EXIF orientation."""
    quarters, mirrored = _TURNS.get(image.getexif().get(_ORIENTATION, 1), (0, False))
    rgb = np.rot90(rgb, quarters)
    return np.ascontiguousarray(rgb[:, ::-1] if mirrored else rgb)
