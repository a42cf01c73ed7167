# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Say what is wrong with an image, without repeating a page of what a peer has sent."""

MAX_QUOTED = 200  # characters


class ImageError(ValueError):
    """An image that cannot be read. The text is a sentence that says why."""


def quoted(text: object) -> str:
    """Return text from outside in quotation marks, on one line and cut to `MAX_QUOTED` characters."""
    text = str(text)
    return repr(text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "...")
