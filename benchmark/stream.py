# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How fast a stream is read: the published loop, the session frame by frame, and the session on whole videos.

    python benchmark/stream.py --geometry demo --json out.json

Workload `paper`: 600 frames at 2 FPS, a reply of 12 tokens every 8 frames. Both are forced, so that the random
weights do not matter. Everything that decides is computed all the same. The three take turns in one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from geometries import GEOMETRIES, build, count_parameters
from machine import describe_machine, measure_copy_bandwidth, measure_matmul_rate, peak_memory, synchronize
from torch import Tensor
from transformers import DynamicCache

from videollm_ros.live import ContextLimits, FrameDecision, LiveModel, StreamSession, Utterance
from videollm_ros.live.quantization import quantize, stored_bytes
from videollm_ros.live.speak_rule import SpeakRule
from videollm_ros.live.speculation import MAX_FRAMES_PER_PASS
from videollm_ros.live.steps import Step
from videollm_ros.live.template import Turn

FPS = 2.0
FRAMES_PER_REPLY = 8
TOKENS_PER_REPLY = 12


def replies_after(frame: int) -> bool:
    return (frame + 1) % FRAMES_PER_REPLY == 0


class PublishedLoop:
    """What the public implementation does: frame by frame, eager, a cache that grows without end.

    The adapter is merged, attention is SDPA and only the last position's logits are computed: no artificial slowness.
    """

    def __init__(self, model: LiveModel) -> None:
        self.model, self.template = model, model.template
        self.cache = DynamicCache(config=model.llm.config)
        self.last_ids = self.template.before_frame(Turn.SYSTEM)
        self.step_seconds: list[float] = []
        self.reply_seconds: list[float] = []
        self.first_word_seconds: list[float] = []

    @torch.inference_mode()
    def read(self, frame: Tensor, index: int) -> None:
        began = time.perf_counter()
        embeds = self.model.embed(self.model.encode(self.model.prepare(frame)[None]))[0]
        synchronize(self.model.device)
        encoded = time.perf_counter()
        logits = self._forward(torch.cat((self._embed_ids(self.last_ids), embeds)))
        probabilities = logits.softmax(-1)
        if probabilities[self.template.silence_token_id] < 0.725:
            probabilities[self.template.silence_token_id] = 0
        int(probabilities.argmax())
        self.step_seconds.append(time.perf_counter() - encoded)
        self.last_ids = self.template.interval_ids
        if replies_after(index):
            self._reply(began)

    def _reply(self, began: float) -> None:
        reply_began = time.perf_counter()
        ids = self.template.before_reply()
        for number in range(TOKENS_PER_REPLY):
            ids = [int(self._forward(self._embed_ids(ids)).argmax())]
            if number == 0:
                self.first_word_seconds.append(time.perf_counter() - began)
        self.reply_seconds.append(time.perf_counter() - reply_began)
        self.last_ids = self.template.before_frame(Turn.ASSISTANT)

    def _forward(self, embeds: Tensor) -> Tensor:
        output = self.model.llm(
            inputs_embeds=embeds[None], past_key_values=self.cache, use_cache=True, logits_to_keep=1
        )
        return output.logits[0, -1].float()

    def _embed_ids(self, ids: list[int]) -> Tensor:
        return self.model.embed_ids(torch.tensor(ids, device=self.model.device))


class ForcedRule(SpeakRule):
    """Speak at the frames of the workload, whatever the model says. Reset `frame` when a stream begins."""

    frame = 0

    def speaks(self, p_silence: float, silence_is_argmax: bool) -> bool:
        """Return whether the workload has a reply after the next frame."""
        self.frame += 1
        return replies_after(self.frame - 1)


class ForcedSession(StreamSession):
    """A session that computes its decisions and then takes those of the workload, and that keeps its timings."""

    def __init__(self, model: LiveModel, context: ContextLimits) -> None:
        """Make a session for the workload."""
        rule = ForcedRule()
        super().__init__(model, max_new_tokens=TOKENS_PER_REPLY, context=context, rule=rule, on_step=self._note)
        self.forced_rule = rule
        self.begin()

    def begin(self) -> None:
        """Begin a stream, with no timings yet."""
        self.reset()
        self.forced_rule.frame = 0
        self.step_seconds: list[float] = []
        self.reply_seconds: list[float] = []
        self.first_word_seconds: list[float] = []
        self.context_tokens: list[int] = []
        self._eviction_seconds = 0.0

    def _note(self, step: Step) -> None:
        if step.kind == "eviction":  # it is part of the frame step that needs the room
            self._eviction_seconds = step.seconds
        elif step.kind == "frames":
            self.step_seconds.append(step.seconds + self._eviction_seconds)
            self._eviction_seconds = 0.0

    def read_one(self, frame: Tensor, index: int) -> None:
        """Read one frame and whatever the workload says after it."""
        began = reply_began = time.perf_counter()
        embeds = self.model.embed_frames([frame])
        synchronize(self.model.device)  # the encoder is not part of the step
        for event in self.observe_embeds(embeds, [index / FPS]):
            if isinstance(event, FrameDecision):
                reply_began = time.perf_counter()
                self.context_tokens.append(self.state.tokens)
            elif isinstance(event, Utterance):
                self.reply_seconds.append(time.perf_counter() - reply_began)
            elif len(event.token_ids) == 1:
                self.first_word_seconds.append(time.perf_counter() - began)


def run(model: LiveModel, frames: Tensor, context: ContextLimits, rounds: int) -> dict[str, list]:
    """Frames per second of the three in turn, and the step times of the first two."""
    warm_up = min(2 * FRAMES_PER_REPLY, len(frames))
    results: dict[str, list] = {name: [] for name in ("baseline_fps", "live_fps", "video_fps")}
    results |= {f"{who}_{what}": [] for who in ("baseline", "live") for what in ("step", "reply", "first_word")}
    # A word that ends a reply early would change the workload: its logit becomes 0, which is never the largest.
    with torch.no_grad():
        model.llm.get_output_embeddings().weight[model.template.eos_token_id] = 0
    # Sessions are made once, as a node does: what they capture and allocate is not part of a stream.
    live, video = ForcedSession(model, context), ForcedSession(model, context)
    stamps = [index / FPS for index in range(len(frames))]
    for number in range(rounds + 1):
        count = warm_up if number == 0 else len(frames)
        baseline = PublishedLoop(model)
        live.begin(), video.begin()

        seconds = {}
        began = time.perf_counter()
        for index in range(count):
            baseline.read(frames[index], index)
        seconds["baseline_fps"] = _since(began, model)
        began = time.perf_counter()
        for index in range(count):
            live.read_one(frames[index], index)
        seconds["live_fps"] = _since(began, model)
        began = time.perf_counter()
        video.observe_many(frames[:count], stamps[:count])
        seconds["video_fps"] = _since(began, model)
        if number == 0:
            continue
        for name, value in seconds.items():
            results[name].append(count / value)
        for who, one in (("baseline", baseline), ("live", live)):
            results[f"{who}_step"] += one.step_seconds
            results[f"{who}_reply"] += one.reply_seconds
            results[f"{who}_first_word"] += one.first_word_seconds
    results["context_tokens"] = [statistics.fmean(live.context_tokens)]
    return results


def _since(began: float, model: LiveModel) -> float:
    synchronize(model.device)
    return time.perf_counter() - began


def encoder_seconds(model: LiveModel, frames: Tensor) -> float:
    """Of a frame, when as many are encoded together as `observe_many` does."""
    chunk = model.prepare(frames[:MAX_FRAMES_PER_PASS])
    seconds = []
    with torch.inference_mode():
        for _ in range(5):
            began = time.perf_counter()
            model.encode(chunk)
            seconds.append(_since(began, model))
    return min(seconds) / len(chunk)


def floor(model: LiveModel, context_tokens: float) -> dict[str, float]:
    """The least a frame step can take, in ms: weights read once or multiplied once, whichever is slower, and the KV."""
    config, llm = model.llm.config, model.llm
    bandwidth, rate = measure_copy_bandwidth(model.device), measure_matmul_rate(model.device, model.dtype)
    table = llm.get_input_embeddings().weight
    read = [weight for weight in llm.parameters() if config.tie_word_embeddings or weight is not table]
    parameters = sum(weight.numel() for weight in read)
    size = model.dtype.itemsize
    tokens = model.config.frame_num_tokens + len(model.template.interval_ids)
    kv_heads, head_dim = config.num_key_value_heads, llm.model.layers[0].self_attn.head_dim
    kv_bytes = 2 * config.num_hidden_layers * kv_heads * head_dim * size * context_tokens
    patches = (model.config.frame_resolution // model.vision.tower.config.patch_size) ** 2
    weights_seconds = max(sum(map(stored_bytes, read)) / bandwidth, 2 * parameters * tokens / rate)
    encoder_flops = 2 * count_parameters(model.vision.tower) * patches
    return {
        "floor_ms": 1e3 * (weights_seconds + kv_bytes / bandwidth),
        "encoder_floor_ms": 1e3 * encoder_flops / rate,
        "copy_bandwidth_gb_s": bandwidth / 1e9,
        "matmul_tflop_s": rate / 1e12,
        "decoder_parameters": parameters,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--geometry", choices=GEOMETRIES, default="demo")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default=None, help="default: bfloat16 on CUDA, float32 elsewhere")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=None, help="context.max_tokens of the session")
    parser.add_argument("--quantization", default=None, help="int8, int4 or fp8, of the session and of the baseline")
    parser.add_argument(
        "--threads", type=int, default=None, help="of the CPU; default: 1 for demo, else torch's choice"
    )
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()

    if arguments.threads or arguments.geometry == "demo":
        torch.set_num_threads(arguments.threads or 1)  # threads of so small a model wait for each other
    device = torch.device(arguments.device)
    dtype = getattr(torch, arguments.dtype or ("bfloat16" if device.type == "cuda" else "float32"))
    model = build(arguments.geometry, device, dtype)
    if arguments.quantization:
        quantize(model.llm, arguments.quantization)
    side = model.config.frame_resolution
    frames = torch.randint(0, 256, (arguments.frames, 3, side, side), dtype=torch.uint8)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)  # what building and quantizing the model took is not asked
    results = run(model, frames, ContextLimits(max_tokens=arguments.max_tokens), arguments.rounds)

    median = {name: statistics.median(results[name]) for name in ("baseline_fps", "live_fps", "video_fps")}
    ratios = {name: _paired(results, f"{name}_fps") for name in ("live", "video")}
    steps = sorted(results["live_step"])
    figures = {
        "geometry": arguments.geometry,
        "workload": "paper",
        "frames": arguments.frames,
        "rounds": arguments.rounds,
        "dtype": str(dtype).removeprefix("torch."),
        "quantization": arguments.quantization,
        **median,
        "live_ratio": statistics.median(ratios["live"]),
        "video_ratio": statistics.median(ratios["video"]),
        "live_ratios": ratios["live"],
        "video_ratios": ratios["video"],
        "step_p50_ms": 1e3 * steps[len(steps) // 2],
        "step_p99_ms": 1e3 * steps[int(len(steps) * 0.99)],
        "baseline_step_p50_ms": 1e3 * statistics.median(results["baseline_step"]),
        "first_word_ms": 1e3 * statistics.median(results["live_first_word"]),
        "baseline_first_word_ms": 1e3 * statistics.median(results["baseline_first_word"]),
        "reply_tokens_s": TOKENS_PER_REPLY / statistics.median(results["live_reply"]),
        "baseline_reply_tokens_s": TOKENS_PER_REPLY / statistics.median(results["baseline_reply"]),
        "encoder_ms": 1e3 * encoder_seconds(model, frames),
        "peak_memory_gib": peak_memory(device) / 2**30,
        **floor(model, results["context_tokens"][0]),
        "machine": describe_machine(device),
    }
    figures["step_to_floor"] = figures["step_p50_ms"] / figures["floor_ms"]
    for name, value in figures.items():
        print(f"{name:26} {value:.4g}" if isinstance(value, float) else f"{name:26} {value}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def _paired(results: dict[str, list], name: str) -> list[float]:
    """Ratios to the baseline of the same round: a machine's speed drifts between rounds."""
    return [mine / base for mine, base in zip(results[name], results["baseline_fps"], strict=True)]


if __name__ == "__main__":
    main()
