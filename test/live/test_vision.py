# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of any size become a centred square, and a tower's patches a frame's few tokens."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
)

from videollm_ros.live import LiveConfig, LiveModel
from videollm_ros.live.vision import VisionEncoder, letterbox

SIDE = 32


def white(height, width):
    return torch.full((1, 3, height, width), 255, dtype=torch.uint8)


def frame_area(square):
    """First and last row and column that are not black, of [1, 3, R, R]."""
    rows = square[0].amax((0, 2)).nonzero()
    columns = square[0].amax((0, 1)).nonzero()
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


@pytest.mark.parametrize(
    ("height", "width", "area"),
    [
        (48, 64, (4, 27, 0, 31)),  # landscape
        (64, 48, (0, 31, 4, 27)),  # portrait
        (480, 640, (4, 27, 0, 31)),  # large
        (3, 4, (4, 27, 0, 31)),  # tiny
        (1, 1, (0, 31, 0, 31)),
        (2160, 3840, (7, 24, 0, 31)),  # huge
        (5, 4000, (15, 15, 0, 31)),  # a line stays a line
        (4000, 5, (0, 31, 15, 15)),
        (31, 32, (0, 30, 0, 31)),  # an odd row of padding goes below
    ],
)
def test_a_frame_fills_its_longest_side_and_is_centred_on_black(height, width, area):
    square = letterbox(white(height, width), SIDE)
    assert square.shape == (1, 3, SIDE, SIDE)
    assert square.dtype == torch.uint8
    top, bottom, left, right = frame_area(square)
    assert (top, bottom, left, right) == area
    assert (square[..., top : bottom + 1, left : right + 1] == 255).all()
    assert int(square.sum(dtype=torch.int64)) == 3 * 255 * (bottom - top + 1) * (right - left + 1)


def test_a_frame_of_the_towers_size_is_not_touched():
    frame = torch.randint(256, (2, 3, SIDE, SIDE), dtype=torch.uint8)
    assert torch.equal(letterbox(frame, SIDE), frame)


@pytest.mark.parametrize(("height", "width"), [(20, 20), (100, 100), (480, 480)])
def test_scaling_is_bicubic_and_antialiased(height, width):
    frame = torch.randint(64, 192, (1, 3, height, width), dtype=torch.uint8)
    exact = F.interpolate(frame.double(), (SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False)
    error = (letterbox(frame, SIDE) - exact).abs()
    assert error.mean() < 0.4  # as rounding gives, and rounding again between rows and columns
    assert error.max() < 2


def test_channels_first_and_last_are_the_same_frame(compose):
    model = compose()
    frame = torch.randint(256, (3, 40, 30), dtype=torch.uint8)
    assert torch.equal(model.prepare(frame), model.prepare(frame.permute(1, 2, 0)))
    assert torch.equal(model.prepare(frame), model.prepare(frame.permute(1, 2, 0).numpy()))
    batch = torch.stack((frame, 255 - frame))
    assert torch.equal(model.prepare(batch), model.prepare(batch.permute(0, 2, 3, 1).numpy()))
    assert torch.equal(model.prepare(batch)[0], model.prepare(frame))


def test_a_view_of_someone_elses_memory_is_a_frame(compose):
    """Camera drivers hand out read-only buffers, and `[..., ::-1]` makes RGB of BGR without a copy."""
    model = compose()
    pixels = np.random.default_rng(0).integers(256, size=(40, 30, 3), dtype=np.uint8)
    read_only = np.frombuffer(pixels.tobytes(), np.uint8).reshape(pixels.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(model.prepare(read_only), model.prepare(pixels))
        assert torch.equal(model.prepare(pixels[..., ::-1]), model.prepare(pixels[..., ::-1].copy()))


@pytest.mark.parametrize(
    ("frame", "given"),
    [
        (torch.zeros(3, 40, 30), r"torch.float32 \[3, 40, 30\]"),
        (np.zeros((40, 30, 3), np.int16), r"torch.int16 \[40, 30, 3\]"),
        (np.zeros((40, 30), np.uint8), r"torch.uint8 \[40, 30\]"),
        (np.zeros((40, 30, 4), np.uint8), r"torch.uint8 \[40, 30, 4\]"),
        (np.zeros((1, 40, 30), np.uint8), r"torch.uint8 \[1, 40, 30\]"),
        (np.zeros((0, 30, 3), np.uint8), r"torch.uint8 \[0, 30, 3\]"),
        (np.zeros((2, 2, 3, 40, 30), np.uint8), r"torch.uint8 \[2, 2, 3, 40, 30\]"),
    ],
)
def test_what_is_no_frame_is_refused_with_what_was_given(compose, frame, given):
    with pytest.raises(ValueError, match=rf"expected uint8 RGB frames .* got {given}"):
        compose().prepare(frame)


def test_a_frame_that_was_not_prepared_is_refused(compose):
    with pytest.raises(ValueError, match=r"uint8 frames \[T, 3, 32, 32\], got torch.uint8 \[1, 3, 40, 30\]"):
        compose().encode(torch.zeros(1, 3, 40, 30, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"got torch.float32 \[1, 3, 32, 32\]"):
        compose().encode(torch.zeros(1, 3, 32, 32))


def test_the_scaled_side_is_rounded_to_the_nearest_pixel():
    top, bottom, *_ = frame_area(letterbox(white(29, 50), SIDE))
    assert bottom - top + 1 == 19  # 18.56 would be cut to 18


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_frames_are_embedded_in_batches_as_one_by_one(compose, batch_size):
    model = compose()
    frames = torch.randint(256, (7, 3, 40, 56), dtype=torch.uint8)
    expected = torch.cat([model.embed(model.encode(model.prepare(frame)[None])) for frame in frames])
    for given in (frames, frames.numpy(), list(frames), [frame.permute(1, 2, 0).numpy() for frame in frames]):
        torch.testing.assert_close(model.embed_frames(given, batch_size), expected)


def test_frames_of_different_sizes_are_embedded_together(compose):
    model = compose()
    frames = [torch.randint(256, (3, side, 40), dtype=torch.uint8) for side in (20, 40, 60)]
    alone = [model.embed_frames([frame])[0] for frame in frames]
    torch.testing.assert_close(model.embed_frames(frames), torch.stack(alone))


def test_no_more_frames_than_asked_for_are_encoded_together(compose, monkeypatch):
    model = compose()
    sizes = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda frames: sizes.append(len(frames)) or encode(frames))
    model.embed_frames(torch.zeros(7, 3, 32, 32, dtype=torch.uint8), batch_size=3)
    assert sizes == [3, 3, 1]


@pytest.mark.parametrize("frames", [[], np.zeros((0, 32, 32, 3), np.uint8)])
def test_no_frames_have_no_embeddings(compose, frames):
    model = compose()
    embeds = model.embed_frames(frames)
    assert embeds.shape == (0, model.config.frame_num_tokens, model.llm.config.hidden_size)
    assert embeds.dtype == model.dtype


def test_a_batch_of_no_frames_is_refused(compose):
    with pytest.raises(ValueError, match="batch_size is a number of frames, at least 1: 0"):
        compose().embed_frames([], batch_size=0)


def test_the_names_of_hugging_face_and_the_first_ones_are_the_same_methods():
    assert LiveModel.prepare is LiveModel.preprocess and LiveModel.embed is LiveModel.project


SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture
def siglip():
    torch.manual_seed(0)
    return SiglipVisionModel(SiglipVisionConfig(**SIZES, image_size=SIDE, patch_size=8)).eval()


@pytest.fixture
def clip():
    torch.manual_seed(0)
    return CLIPVisionModel(CLIPVisionConfig(**SIZES, image_size=SIDE, patch_size=8, projection_dim=8)).eval()


@pytest.fixture
def frames():
    return torch.randint(256, (2, 3, SIDE, SIDE), dtype=torch.uint8)


def quarters(patches):
    """Means of the quarters of a 4x4 grid [T, 16, d], row by row: [T, 4, d]."""
    grid = patches.unflatten(1, (4, 4))
    rows, columns = (slice(0, 2), slice(2, 4)), (slice(0, 2), slice(2, 4))
    return torch.stack([grid[:, row, column].mean((1, 2)) for row in rows for column in columns], dim=1)


@torch.no_grad()
def test_siglip_gives_its_pooled_output_and_then_the_grid_row_by_row(siglip, frames):
    config = LiveConfig(frame_resolution=SIDE, frame_token_pooled=(2, 2))
    output = siglip((frames / 255 - 0.5) / 0.5)
    expected = torch.cat((output.pooler_output[:, None], quarters(output.last_hidden_state)), dim=1)
    torch.testing.assert_close(VisionEncoder(siglip, config)(frames), expected)


@torch.no_grad()
def test_clip_gives_its_class_token_and_then_the_grid_row_by_row(clip, frames):
    config = LiveConfig(frame_resolution=SIDE, frame_token_pooled=(2, 2))
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    hidden = clip((frames / 255 - mean) / std).last_hidden_state
    expected = torch.cat((hidden[:, :1], quarters(hidden[:, 1:])), dim=1)
    torch.testing.assert_close(VisionEncoder(clip, config)(frames), expected)


@torch.no_grad()
@pytest.mark.parametrize("tower", ["siglip", "clip"])
def test_live1_has_one_token_per_frame(request, tower, frames):
    tower = request.getfixturevalue(tower)
    live1 = LiveConfig(frame_resolution=SIDE, frame_token_pooled=None, frame_token_interval="")
    live1plus = LiveConfig(frame_resolution=SIDE, frame_token_pooled=(2, 2))
    features = VisionEncoder(tower, live1)(frames)
    assert features.shape == (2, live1.frame_num_tokens, 16) == (2, 1, 16)
    torch.testing.assert_close(features, VisionEncoder(tower, live1plus)(frames)[:, :1])


@torch.no_grad()
def test_the_pooled_token_can_be_left_out(siglip, frames):
    config = LiveConfig(frame_resolution=SIDE, frame_token_cls=False, frame_token_pooled=(2, 2))
    whole = LiveConfig(frame_resolution=SIDE, frame_token_pooled=(2, 2))
    torch.testing.assert_close(VisionEncoder(siglip, config)(frames), VisionEncoder(siglip, whole)(frames)[:, 1:])


@pytest.mark.parametrize("cls", [True, False])
@pytest.mark.parametrize("tower", ["siglip", "clip"])
def test_the_unused_parameters_are_those_that_get_no_gradient(request, tower, cls, frames):
    tower = request.getfixturevalue(tower)
    encoder = VisionEncoder(tower, LiveConfig(frame_resolution=SIDE, frame_token_cls=cls, frame_token_pooled=(2, 2)))
    encoder(frames).square().sum().backward()
    unused = set(encoder.unused_parameters())
    assert unused == {parameter for parameter in tower.parameters() if parameter.grad is None}


def test_a_tower_of_another_resolution_is_refused(siglip):
    with pytest.raises(ValueError, match="reads frames of 32 pixels, the checkpoint was made for 384"):
        VisionEncoder(siglip, LiveConfig())


def test_a_tower_of_another_family_is_refused():
    tower = ViTModel(ViTConfig(**SIZES, image_size=SIDE, patch_size=8))
    with pytest.raises(ValueError, match="vision tower is a vit; expected one of siglip_vision_model, clip"):
        VisionEncoder(tower, LiveConfig(frame_resolution=SIDE))
