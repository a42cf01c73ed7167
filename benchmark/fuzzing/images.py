# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages whose size, step, encoding and data need not fit together."""

from types import SimpleNamespace

import numpy as np
from hypothesis import strategies as st

from fuzzing import Refused
from videollm_ros.media.images import _ENCODINGS, _SYNONYMS, ImageError, to_rgb

UNSUPPORTED = ["32FC1", "64FC3", "nv21", "rgb16", "mono8; compressedDepth"]
SIDES = st.one_of(st.integers(0, 40), st.sampled_from([1, 2, 640, 4096, 65535, 2**31 - 1, 2**31, 2**32 - 1]))


@st.composite
def messages(draw: st.DrawFn) -> SimpleNamespace:
    """An Image message: often nearly right."""
    width, height = draw(SIDES), draw(SIDES)
    bytes_per_pixel = draw(st.sampled_from([1, 2, 3, 4]))
    padding = draw(st.sampled_from([0, 0, 0, 1, 2, 24]))
    step = draw(st.one_of(st.just(width * bytes_per_pixel + padding), st.integers(0, 300), st.integers(0, 2**32 - 1)))
    rows = height * 3 // 2 if draw(st.booleans()) else height
    size = min(step * rows, 1 << 20) + draw(st.sampled_from([0, 0, 0, -1, 1, -100, 100]))
    return SimpleNamespace(
        width=width,
        height=height,
        encoding=draw(st.one_of(st.sampled_from([*_ENCODINGS, *_SYNONYMS, *UNSUPPORTED]), st.text(max_size=3000))),
        is_bigendian=draw(st.integers(0, 255)),
        step=step % 2**32,
        data=bytes(draw(st.sampled_from([0, 1, 127, 255])) for _ in range(1)) * max(0, size),
    )


cases = messages()


def run(case: SimpleNamespace) -> int:
    """Convert. Returns the bytes of the picture."""
    try:
        rgb = to_rgb(case)
    except ImageError as error:
        raise Refused(error) from error
    if rgb.shape != (case.height, case.width, 3) or rgb.dtype != np.uint8:
        raise TypeError(f"{rgb.shape} {rgb.dtype}")
    return rgb.nbytes
