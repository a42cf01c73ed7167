# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Do smaller weights say the same? Decisions and text of the demo checkpoint against its full weights.

python benchmark/quantization.py --json out.json
"""

from __future__ import annotations

from demo_streams import Watched, encode_streams, parse_arguments, watch, write_rows

from videollm_ros.evaluation import StreamScore
from videollm_ros.live import CheckpointError, LiveModel, StreamSession
from videollm_ros.live.quantization import QUANTIZATIONS


def compare(full: list[Watched], quantised: list[Watched]) -> dict[str, float]:
    """Share of frames with the same decision, and of the full model's utterances said in the same words at once."""
    pairs = list(zip(full, quantised, strict=True))
    frames = [(stamp, one, other) for one, other in pairs for stamp in one.decisions]
    same_decision = sum(one.decisions[stamp] == other.decisions.get(stamp) for stamp, one, other in frames)
    spoken = [{(said.stamp, said.query, said.text) for said in watched.utterances} for watched in full]
    heard = [{(said.stamp, said.query, said.text) for said in watched.utterances} for watched in quantised]
    total = StreamScore()
    for watched in quantised:
        total += watched.score
    same_text = sum(len(one & other) for one, other in zip(spoken, heard, strict=True))
    return {
        "same_decision": same_decision / len(frames),
        "same_text": same_text / sum(len(one) for one in spoken),
        **total.figures(),
    }


def main() -> None:
    arguments = parse_arguments(__doc__)
    model = LiveModel.from_pretrained(arguments.checkpoint, device=arguments.device)
    streams = list(encode_streams(model, range(9000, 9000 + arguments.streams)))
    full = [watch(StreamSession(model), *stream) for stream in streams]

    rows = [{"quantization": None, **compare(full, full)}]
    for quantization in QUANTIZATIONS:
        try:
            smaller = LiveModel.from_pretrained(
                arguments.checkpoint, device=arguments.device, quantization=quantization
            )
        except CheckpointError as error:
            print(f"{quantization}: {error}")
            continue
        rows.append(
            {"quantization": quantization, **compare(full, [watch(StreamSession(smaller), *s) for s in streams])}
        )
    print("weights   same decision   same words   event F1   answers")
    for row in rows:
        print(
            f"{row['quantization'] or 'full':<9} {row['same_decision']:>13.2%}   {row['same_text']:>10.1%}   "
            f"{row['event_f1']:>8.3f}   {row['answer_accuracy']:>7.3f}"
        )
    write_rows(arguments.json, rows, arguments.streams, model)


if __name__ == "__main__":
    main()
