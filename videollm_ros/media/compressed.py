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
# A JPEG of several scans needs up to 8 bytes per pixel more for its coefficients, a WebP as many for its canvas.
MAX_PIXELS_OF_COSTLY = 2048 * 2048
MAX_SCANS = 64  # every scan takes time; a usual progressive JPEG has 10
STRIP = 2**18  # pixels that are converted at a time

DEFAULT_FORMATS = "jpeg_png"
FORMATS = {
    "jpeg_png": ("JPEG", "PNG"),
    "jpeg_png_webp": ("JPEG", "PNG", "WEBP"),
}
_ORIENTATION = 0x0112  # the EXIF tag
# EXIF orientation -> quarter turns counterclockwise, and whether the picture is then mirrored left to right.
_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}

# Pillow warns of large images, which `decode_compressed` refuses itself, and of metadata that nobody reads here.
warnings.filterwarnings("ignore", module=r"PIL\.")


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
        if data[8:12] == b"WEBP":  # Pillow allocates its canvas before it tells the size
            _check_pixels(*_webp_size(data), MAX_PIXELS_OF_COSTLY, "a WebP image")
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
    if image.format in ("JPEG", "MPO") and (scans := _count_scans(image, data)) > 1:
        if scans > MAX_SCANS:
            raise ImageError(f"A JPEG of {scans} scans was received; at most {MAX_SCANS} are accepted.")
        _check_pixels(*image.size, MAX_PIXELS_OF_COSTLY, "a progressive JPEG")
    _check_pixels(*image.size, MAX_PIXELS, "a compressed image")


def _check_pixels(width: int, height: int, limit: int, kind: str) -> None:
    if not 0 < width * height <= limit:
        raise ImageError(f"{width}x{height} pixels were received; {kind} may have 1 to {limit}.")


def _count_scans(image: Image.Image, data: bytes) -> int:
    """Return how many scans a JPEG may have: at least two unless its first scan has all the components.

    Inside a scan, FF is followed by 00 or a restart marker, so FF DA begins a scan wherever it is.
    """
    scans = data.count(b"\xff\xda")
    first = data.find(b"\xff\xda")
    is_whole = "progressive" not in image.info and data[first + 4 : first + 5] == bytes([len(image.getbands())])
    return scans if is_whole else max(scans, 2)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return width and height by the header of a WebP file (RFC 9649)."""
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _to_array(image: Image.Image) -> NDArray[np.uint8]:
    """Copy the pixels strip by strip, so that there is no second copy of the whole picture."""
    image.load()
    width, height = image.size
    rgb = np.empty((height, width, 3), np.uint8)
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        if strip.mode.startswith("I"):  # gray levels 0..65535 of a PNG
            rgb[top : top + rows] = (np.asarray(strip).astype(np.uint32) >> 8).astype(np.uint8)[..., None]
        else:
            rgb[top : top + rows] = np.asarray(strip.convert("RGB"))
    return rgb


def _turned(rgb: NDArray[np.uint8], image: Image.Image) -> NDArray[np.uint8]:
    """Apply the EXIF orientation."""
    quarters, mirrored = _TURNS.get(image.getexif().get(_ORIENTATION, 1), (0, False))
    rgb = np.rot90(rgb, quarters)
    return np.ascontiguousarray(rgb[:, ::-1] if mirrored else rgb)
