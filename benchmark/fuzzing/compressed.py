# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CompressedImage messages: whole images of many formats with bytes changed, cut, moved and claimed."""

import io
import struct
import zlib
from types import SimpleNamespace

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from fuzzing import Refused
from videollm_ros.media.compressed import FORMATS
from videollm_ros.media.images import ImageError, to_rgb

LENGTHS = [0, 1, 0xFF, 0xFFFF, 0xFFFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF]


def _saved() -> list[bytes]:
    x, y = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 48))
    picture = Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))
    deep = Image.fromarray((x * 257).astype(np.uint16))
    kinds = [
        (picture, "JPEG", {}),
        (picture, "JPEG", {"progressive": True, "quality": 95, "subsampling": 0}),
        (picture.convert("L"), "JPEG", {}),
        (picture.convert("CMYK"), "JPEG", {}),
        (picture, "PNG", {}),
        (picture.convert("P"), "PNG", {"transparency": 0}),
        (picture.convert("LA"), "PNG", {}),
        (picture.convert("1"), "PNG", {}),
        (deep, "PNG", {}),
        (picture, "WEBP", {}),
        (picture.convert("RGBA"), "WEBP", {"lossless": True}),
        (picture, "BMP", {}),
        (picture, "GIF", {}),
    ]
    saved = []
    for image, kind, options in kinds:
        file = io.BytesIO()
        image.save(file, kind, **options)
        saved.append(file.getvalue())
    return saved


WHOLE = _saved()
CHANGES = ["byte", "byte", "byte", "cut", "insert", "repeat", "length", "size", "checksum"]


def changed(data: bytes, how: str, where: float, value: int) -> bytes:
    """Return the bytes with one change at a place from 0 to 1."""
    at = int(where * max(len(data) - 1, 0))
    claimed = LENGTHS[value % len(LENGTHS)]
    if how == "cut":
        return data[:at]
    if how == "insert":
        return data[:at] + bytes([value]) * (1 + value % 17) + data[at:]
    if how == "repeat":
        return data[:at] + data[max(0, at - value) :]
    if how == "length":  # of a chunk or segment, or just there
        return data[:at] + struct.pack(">I", claimed) + data[at + 4 :]
    if how == "size":
        return _resized(data, claimed, value)
    if how == "checksum":
        return _with_checksums(data)
    return data[:at] + bytes([value]) + data[at + 1 :]


def _resized(data: bytes, side: int, value: int) -> bytes:
    """Claim another size in the header of a PNG or JPEG."""
    if data.startswith(b"\x89PNG"):
        return data[:16] + struct.pack(">II", side, value + 1) + data[24:]
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: frame + 5] + struct.pack(">HH", side & 0xFFFF, 1 + 257 * value & 0xFFFF) + data[frame + 9 :]


def _with_checksums(data: bytes) -> bytes:
    """Make the checksums of a PNG right again, so that its decoder goes on."""
    at = 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(data):
        length = struct.unpack_from(">I", data, at)[0]
        end = at + 8 + length
        if end + 4 > len(data):
            break
        data = data[:end] + struct.pack(">I", zlib.crc32(data[at + 4 : end])) + data[end + 4 :]
        at = end + 4
    return data


@st.composite
def messages(draw: st.DrawFn) -> tuple[SimpleNamespace, str]:
    """A CompressedImage message, and the formats that are allowed."""
    data = draw(st.one_of(st.sampled_from(WHOLE), st.sampled_from(WHOLE), st.binary(max_size=200)))
    change = st.tuples(st.sampled_from(CHANGES), st.floats(0, 1), st.integers(0, 255))
    for how, where, value in draw(st.lists(change, max_size=6)):
        data = changed(data, how, where, value)
    if draw(st.booleans()):
        data = _with_checksums(data)
    message = SimpleNamespace(format=draw(st.one_of(st.just("jpeg"), st.text(max_size=2000))), data=data)
    return message, draw(st.sampled_from([*FORMATS, "jpeg_png", "jpeg_png"]))


cases = messages()


def run(case: tuple[SimpleNamespace, str]) -> int:
    """Convert. Returns the bytes of the picture."""
    message, formats = case
    try:
        rgb = to_rgb(message, formats)
    except ImageError as error:
        raise Refused(error) from error
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise TypeError(f"{rgb.shape} {rgb.dtype}")
    return rgb.nbytes
