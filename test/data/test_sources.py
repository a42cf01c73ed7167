# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of dialogues: made-up frames, no frames, several at once, and the limits of the model."""

from dataclasses import replace

import pytest
import torch

from videollm_ros.data import Collator, Dialogue, FeatureFolder
from videollm_ros.data.dialogues import write_dialogues
from videollm_ros.data.samples import DialogueSamples
from videollm_ros.data.simulated import SimulatorConfig
from videollm_ros.data.sources import FEATURES, FRAMES, DataConfig, SourceConfig, fingerprints, max_tokens, open_sources
from videollm_ros.training.objective import StreamingObjective

SILENT = [{"role": "stream", "num_frames": 6, "learn": True}]
ASKED = [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "You see a cup.", "learn": True}]


@pytest.fixture
def write(tmp_path):
    """Writes dialogues to a file of a name; returns its path."""

    def write_file(name, *dialogues):
        write_dialogues(dialogues, tmp_path / name)
        return str(tmp_path / name)

    return write_file


@pytest.mark.parametrize("kind", ["black", "noise"])
def test_made_up_frames_stand_for_a_dialogue_without_any_reply(write, golden_model, kind):
    data = DataConfig(dialogues=write("d.jsonl", Dialogue("nothing", (0, 6), SILENT)), synthetic=kind)
    (source,) = open_sources(data, golden_model, 0)
    dialogue = source.dialogue(0, None)
    frames = source.visual(0, dialogue)
    assert frames.shape == (6, 3, 96, 96) and frames.dtype == torch.uint8
    assert (frames.float().std() > 50) == (kind == "noise")
    assert torch.equal(frames, source.visual(0, dialogue))
    features = source.encoded(golden_model.vision, "cpu").visual(0, dialogue)
    assert features.shape == (6, 10, 64)
    if kind == "black":
        torch.testing.assert_close(features.float(), golden_model.encode(frames), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("visual", [FEATURES, FRAMES])
def test_a_dialogue_without_frames_is_trained_on_alone_and_beside_others(write, golden_model, visual):
    path = write("d.jsonl", Dialogue("", (0, 0), ASKED), Dialogue("nothing", (0, 6), [*SILENT, *ASKED[1:]]))
    data = DataConfig(dialogues=path, synthetic="black")
    sources = open_sources(data, golden_model, 0)
    if visual == FEATURES:
        sources = [source.encoded(golden_model.vision, "cpu") for source in sources]
    samples = DialogueSamples(sources, golden_model, data, 0, visual)
    samples.check()
    objective, collate = StreamingObjective(golden_model), Collator(0)
    with torch.no_grad():
        alone = [objective(**collate([samples[index]])) for index in range(2)]
        together = objective(**collate([samples[0], samples[1]]))
    assert all(loss["num_text"] > 3 for loss in alone)
    total = sum(float(loss["loss_sum"]) for loss in alone)
    assert float(together["loss_sum"]) == pytest.approx(total, rel=1e-4)


def test_several_sources_are_mixed_by_their_weights(write, golden_model, tmp_path):
    FeatureFolder(tmp_path / "features").write("v", torch.zeros(6, 10, 64))
    own = SourceConfig(
        dialogues=write("own.jsonl", Dialogue("v", (0, 6), SILENT)), features=str(tmp_path / "features"), weight=3
    )
    old = SourceConfig(simulator=SimulatorConfig((0, 8), 8.0, (96,)), weight=0.5)
    data = DataConfig(sources=(own, old))
    sources = [source.encoded(golden_model.vision, "cpu") for source in open_sources(data, golden_model, 0)]
    samples = DialogueSamples(sources, golden_model, data, 0, FEATURES)
    assert len(samples) == 3 + 4
    samples.check()
    lengths = [len(samples[index].features) for index in range(7)]
    assert lengths == [6] * 3 + [16] * 4
    batch = Collator(0)([samples[0], samples[5]])
    assert batch["events"].shape == (6 + 16, 3)
    assert (batch["events"][:6] == -100).all() and (batch["states"][6:] != -100).any()


def test_an_epoch_takes_the_streams_that_the_one_before_left_out(golden_model):
    data = DataConfig(simulator=SimulatorConfig((0, 8), 8.0, (32,)), weight=0.5)
    samples = DialogueSamples(open_sources(data, golden_model, 0), golden_model, data, 0)
    seen = []
    for epoch in range(2):
        samples.set_epoch(epoch)
        seen += [tuple(samples[index].input_ids) for index in range(len(samples))]
    assert len(seen) == 8
    assert sorted(seen) == sorted(
        tuple(DialogueSamples(open_sources(whole, golden_model, 0), golden_model, whole, 0)[index].input_ids)
        for whole in [replace(data, weight=1.0)]
        for index in range(8)
    )


def test_a_dialogue_may_have_as_many_tokens_as_the_setting_or_else_the_decoder_says(golden_model):
    data = DataConfig(dialogues="d", features="f")
    assert max_tokens(data, golden_model) == golden_model.llm.config.max_position_embeddings
    assert max_tokens(replace(data, max_tokens=9000), golden_model) == 9000


def test_fingerprints_are_of_the_files(write):
    path = write("d.jsonl", Dialogue("v", (0, 6), SILENT))
    there, gone = SourceConfig(dialogues=path, synthetic="black"), SourceConfig(dialogues="gone", synthetic="black")
    first, missing, simulated = fingerprints(
        DataConfig(sources=(there, gone, SourceConfig(simulator=SimulatorConfig((0, 1)))))
    )
    assert len(first) == 64 and missing is None and simulated is None
