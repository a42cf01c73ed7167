# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every encoding gives the picture that was put in, and no message breaks the reader."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from videollm_ros.media.images import ImageError, to_rgb

H, W = 48, 64


@pytest.fixture(scope="module")
def picture():
    """A smooth RGB picture [H, W, 3] with red growing to the right, green downwards, blue the other way."""
    x, y = np.meshgrid(np.linspace(20, 230, W), np.linspace(20, 230, H))
    return np.stack([x, y, 250 - x], axis=-1).astype(np.uint8)


def message(pixels, encoding, *, height=H, width=W, padding=0, is_bigendian=0):
    rows = np.ascontiguousarray(pixels)
    rows = rows.reshape(rows.shape[0], -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    return SimpleNamespace(
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=is_bigendian,
        step=padded.shape[1],
        data=padded.tobytes(),
    )


def mosaic(picture, pattern):
    """What a sensor with this Bayer pattern (its first two rows, e.g. rggb) records of the picture."""
    channel = {"r": 0, "g": 1, "b": 2}
    raw = np.empty((H, W), np.uint8)
    for place, colour in enumerate(pattern):
        row, column = divmod(place, 2)
        raw[row::2, column::2] = picture[row::2, column::2, channel[colour]]
    return raw


def yuv(picture):
    """Y, U and V planes [H, W] of the picture, video range, by the definition of BT.601."""
    r, g, b = (picture[..., i].astype(float) for i in range(3))
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    return (np.rint(plane).astype(np.uint8) for plane in (y, u, v))


def packed_422(picture, order):
    y, u, v = yuv(picture)
    planes = {"u": u[:, ::2], "v": v[:, ::2], "0": y[:, ::2], "1": y[:, 1::2]}
    return np.stack([planes[letter] for letter in order], axis=-1).reshape(H, 2 * W)


def nv12(picture):
    y, u, v = yuv(picture)
    chroma = np.stack([u[::2, ::2], v[::2, ::2]], axis=-1).reshape(H // 2, W)
    return np.concatenate([y, chroma])


def grey(picture):
    return np.repeat(picture[..., 1:2], 3, axis=-1)


def levels16(picture, dtype):
    """Levels whose two bytes differ, so that the order of the bytes matters."""
    return (picture[..., 1].astype(dtype) * 257 + 200).astype(dtype)


opaque = np.full((H, W, 1), 255, np.uint8)
# encoding -> what the camera puts in the message, what is expected, how far a value may be off
ENCODINGS = {
    "rgb8": (lambda p: p, lambda p: p, 0),
    "bgr8": (lambda p: p[..., ::-1], lambda p: p, 0),
    "8UC3": (lambda p: p[..., ::-1], lambda p: p, 0),
    "8UC4": (lambda p: np.concatenate([p[..., ::-1], opaque], -1), lambda p: p, 0),
    "rgba8": (lambda p: np.concatenate([p, opaque], -1), lambda p: p, 0),
    "bgra8": (lambda p: np.concatenate([p[..., ::-1], opaque], -1), lambda p: p, 0),
    "mono8": (lambda p: p[..., 1], grey, 0),
    "8UC1": (lambda p: p[..., 1], grey, 0),
    "mono16": (lambda p: levels16(p, "<u2"), grey, 0),
    "16UC1": (lambda p: levels16(p, "<u2"), grey, 0),
    "bayer_rggb8": (lambda p: mosaic(p, "rggb"), lambda p: p, 12),
    "bayer_bggr8": (lambda p: mosaic(p, "bggr"), lambda p: p, 12),
    "bayer_gbrg8": (lambda p: mosaic(p, "gbrg"), lambda p: p, 12),
    "bayer_grbg8": (lambda p: mosaic(p, "grbg"), lambda p: p, 12),
    "yuv422": (lambda p: packed_422(p, "u0v1"), lambda p: p, 8),
    "uyvy": (lambda p: packed_422(p, "u0v1"), lambda p: p, 8),
    "yuv422_yuy2": (lambda p: packed_422(p, "0u1v"), lambda p: p, 8),
    "yuyv": (lambda p: packed_422(p, "0u1v"), lambda p: p, 8),
    "nv12": (nv12, lambda p: p, 10),
}


@pytest.mark.parametrize("padding", [0, 24])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_the_picture_with_and_without_padded_rows(picture, encoding, padding):
    recorded, expected, tolerance = ENCODINGS[encoding]
    rgb = to_rgb(message(recorded(picture), encoding, padding=padding))
    assert rgb.shape == (H, W, 3) and rgb.dtype == np.uint8
    inner = np.s_[1:-1, 1:-1]  # demosaicing has no neighbours at the border
    assert np.abs(rgb[inner].astype(int) - expected(picture)[inner]).max() <= tolerance


def test_a_big_endian_mono16_image_is_not_noise(picture):
    big = message(levels16(picture, ">u2"), "mono16", is_bigendian=1)
    assert np.array_equal(to_rgb(big), grey(picture))


def test_a_step_of_zero_means_rows_without_padding(picture):
    unset = message(picture, "rgb8")
    unset.step = 0
    assert np.array_equal(to_rgb(unset), picture)


def test_the_last_row_need_not_be_padded(picture):
    trimmed = message(picture, "rgb8", padding=24)
    trimmed.data = trimmed.data[:-24]
    assert np.array_equal(to_rgb(trimmed), picture)


MALFORMED = {
    "empty encoding": ({"encoding": ""}, "The image encoding '' is not supported: docs/ros.md lists"),
    "depth": ({"encoding": "32FC1"}, "'32FC1' is not supported"),
    "misspelled encoding": ({"encoding": "rbg8"}, "'rbg8' is not supported: did you mean rgb8?"),
    "no data": ({"data": b""}, "needs 9216 bytes, and has 0"),
    "truncated": ({"data": bytes(H * W * 3 - 1)}, "needs 9216 bytes, and has 9215"),
    "no rows": ({"height": 0}, "64x0 pixels"),
    "absurd size": (
        {"height": 2**32 - 1, "width": 2**32 - 1, "step": 2**32 - 1},
        "pixels are accepted",
    ),
    "absurd step": ({"step": 2**32 - 1}, "bytes, and has"),
    "short step": ({"step": 5}, "take 192 bytes, and its step is 5"),
    "odd step": ({"encoding": "mono16", "step": 129}, "must be a multiple of 2, and is 129"),
    "odd nv12": ({"encoding": "nv12", "height": 47}, "width and height of A 64x47 nv12 image must be even"),
    "odd yuv422": ({"encoding": "yuv422", "width": 63, "step": 126}, "The width of A 63x48 yuv422 image must be even"),
}


@pytest.mark.parametrize("change", MALFORMED)
def test_a_malformed_image_is_refused_with_a_sentence_that_says_why(picture, change):
    fields, expected = MALFORMED[change]
    broken = message(picture, "rgb8")
    vars(broken).update(fields)
    with pytest.raises(ImageError, match=re.escape(expected)):
        to_rgb(broken)


def test_no_more_than_200_characters_of_a_peer_are_quoted(picture):
    long = message(picture, "x\n" * 2500)
    with pytest.raises(ImageError) as refused:
        to_rgb(long)
    assert len(str(refused.value)) < 700 and "\n" not in str(refused.value)
    with pytest.raises(ImageError) as refused:
        to_rgb(SimpleNamespace(format="y" * 5000, data=b"no image"))
    assert len(str(refused.value)) < 700
