# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values as JSON holds them, and texts of which some bytes are missing, doubled or changed."""

from hypothesis import strategies as st

NAMES = (
    "video frames conversation role num_frames learn content answer videos video_uid clips annotations query database "
    "start end time text segment segments label recording narrations events attributes clip_uid action_idx subset"
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["stream", "user", "assistant", "a"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES.split()) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=25,
)


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> bytes:
    """Bytes of a text, of which some may be missing, doubled or changed."""
    data = draw(texts).encode(errors="surrogatepass")
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    return data
