# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Do smaller weights say the same, and how fast? The demo checkpoint against its full weights.

python benchmark/quantization.py --json out.json
"""

from __future__ import annotations

import time

from demo_streams import Watched, encode_streams, parse_arguments, watch, write_rows
from torch import Tensor

from videollm_ros.evaluation import StreamScore
from videollm_ros.live import CheckpointError, LiveModel, StreamSession
from videollm_ros.live.quantization import QUANTIZATIONS
from videollm_ros.sim import Tabletop


def compare(full: list[Watched], quantized: list[Watched]) -> dict[str, float]:
    """Share of frames with the same decision, and of the full model's utterances said in the same words at once."""
    pairs = list(zip(full, quantized, strict=True))
    frames = [(stamp, one, other) for one, other in pairs for stamp in one.decisions]
    same_decision = sum(one.decisions[stamp] == other.decisions.get(stamp) for stamp, one, other in frames)
    spoken = [{(said.stamp, said.query, said.text) for said in watched.utterances} for watched in full]
    heard = [{(said.stamp, said.query, said.text) for said in watched.utterances} for watched in quantized]
    total = StreamScore()
    for watched in quantized:
        total += watched.score
    same_text = sum(len(one & other) for one, other in zip(spoken, heard, strict=True))
    return {
        "same_decision": same_decision / len(frames),
        "same_text": same_text / sum(len(one) for one in spoken),
        **total.figures(),
    }


def watch_all(model: LiveModel, streams: list[tuple[Tabletop, Tensor]]) -> tuple[list[Watched], float]:
    """What the model makes of the streams, and the decoder's milliseconds per frame."""
    session = StreamSession(model)
    began = time.perf_counter()
    watched = [watch(session, tabletop, embeds.to(model.dtype)) for tabletop, embeds in streams]
    return watched, 1e3 * (time.perf_counter() - began) / sum(len(embeds) for _, embeds in streams)


def main() -> None:
    arguments = parse_arguments(__doc__)
    model = LiveModel.from_pretrained(arguments.checkpoint, device=arguments.device)
    streams = list(encode_streams(model, range(9000, 9000 + arguments.streams)))
    full, seconds = watch_all(model, streams)

    rows = [{"weights": "full", **compare(full, full), "ms_per_frame": seconds}]
    variants = {"bfloat16": {"dtype": "bfloat16"}} | {name: {"quantization": name} for name in QUANTIZATIONS}
    for name, settings in variants.items():
        try:
            smaller = LiveModel.from_pretrained(arguments.checkpoint, device=arguments.device, **settings)
        except CheckpointError as error:
            print(f"{name}: {error}")
            continue
        watched, seconds = watch_all(smaller, streams)
        rows.append({"weights": name, **compare(full, watched), "ms_per_frame": seconds})
    print("weights   same decision   same words   event F1   answers   ms per frame, words included")
    for row in rows:
        print(
            f"{row['weights']:<9} {row['same_decision']:>13.2%}   {row['same_text']:>10.1%}   "
            f"{row['event_f1']:>8.3f}   {row['answer_accuracy']:>7.3f}   {row['ms_per_frame']:>12.2f}"
        )
    write_rows(arguments.json, rows, arguments.streams, model)


if __name__ == "__main__":
    main()
