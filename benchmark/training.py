# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Speed of training: tokens/s, frames/s, peak memory and the share of the machine's matmul rate.

    python benchmark/training.py --geometry demo --json out.json

Geometry "demo" learns everything, with stored features and with frames encoded on the fly; "1b" and "8b" learn LoRA
r 128 and the connector with gradient checkpointing, on random weights and stored features.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from geometries import GEOMETRIES, build, count_parameters
from machine import describe_machine, measure_matmul_rate, peak_memory, synchronize

from videollm_ros.data import Collator, Sample
from videollm_ros.live import LiveModel
from videollm_ros.training.config import TrainableConfig
from videollm_ros.training.objective import StreamingObjective
from videollm_ros.training.trainable import set_trainable

WARM_UP = 2


def make_batch(model: LiveModel, num_dialogues: int, num_frames: int, frames: bool) -> dict[str, torch.Tensor]:
    """Dialogues with a reply of a sentence every eight frames."""
    turn = [
        {"role": "stream", "num_frames": 8, "learn": True},
        {"role": "assistant", "content": "The gripper picks up the red cup.", "learn": True},
    ]
    input_ids, labels = model.template.encode(turn * (num_frames // 8))
    side, count = model.config.frame_resolution, 8 * (num_frames // 8)
    if frames:
        given = {"frames": torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)}
    else:
        given = {"features": torch.randn(count, model.config.frame_num_tokens, model.vision.hidden_size)}
    batch = Collator(model.template.eos_token_id)([Sample(input_ids, labels, **given)] * num_dialogues)
    return {name: tensor.to(model.device) for name, tensor in batch.items()}


def measure(objective: StreamingObjective, batch: dict[str, torch.Tensor], steps: int, bf16: bool) -> float:
    """Seconds of one optimiser step."""
    learned = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=1e-4, fused=True)
    device = objective.live.device
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            synchronize(device)
            began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss = objective(**batch)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    synchronize(device)
    return (time.perf_counter() - began) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--geometry", choices=GEOMETRIES, default="demo")
    parser.add_argument("--dialogues", type=int, default=4, help="per step")
    parser.add_argument("--frames", type=int, default=120, help="per dialogue")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    device = torch.device(given.device)
    demo = given.geometry == "demo"
    rows = []
    for stored in (True, False) if demo else (True,):
        model = build(given.geometry, device, torch.float32 if demo else torch.bfloat16)
        trainable = TrainableConfig(llm="all", vision=not stored) if demo else TrainableConfig()
        set_trainable(model, trainable, given.geometry, gradient_checkpointing=not demo)
        batch = make_batch(model, given.dialogues, given.frames, frames=not stored)
        objective = StreamingObjective(model.train())
        seconds = measure(objective, batch, given.steps, bf16=demo)
        tokens, num_frames = batch["input_ids"].numel(), given.dialogues * 8 * (given.frames // 8)
        # 6 operations per parameter and token when all learn; 4 when the base is frozen, 2 more when recomputed.
        operations = 6 * tokens * count_parameters(model.llm)
        if not stored:
            side = model.config.frame_resolution // model.vision.tower.config.patch_size
            operations += 6 * num_frames * side**2 * count_parameters(model.vision)
        rows.append(
            {
                "features": "stored" if stored else "from frames",
                "tokens_per_second": tokens / seconds,
                "frames_per_second": num_frames / seconds,
                "step_seconds": seconds,
                "peak_memory_gib": peak_memory(device) / 2**30,
                "peak_share": operations / seconds / measure_matmul_rate(device, torch.bfloat16),
            }
        )
    print(f"{'features':12} {'tokens/s':>9} {'frames/s':>9} {'s/step':>7} {'GiB':>6} {'of peak':>8}")
    for row in rows:
        print(
            f"{row['features']:12} {row['tokens_per_second']:9.0f} {row['frames_per_second']:9.0f} "
            f"{row['step_seconds']:7.3f} {row['peak_memory_gib']:6.2f} {row['peak_share']:8.1%}"
        )
    if given.json:
        result = {"geometry": given.geometry, "machine": describe_machine(device), "rows": rows}
        given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
