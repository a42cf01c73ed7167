# Copyright 2026 The videollm_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Hugging Face Trainer for objectives that are not PreTrainedModels: loss by kind, small checkpoints, one bar."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm
from transformers import ProgressCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

from videollm_ros.training.yaml_dataclass import ConfigError

WEIGHTS_NAME = "trained.safetensors"
"""What a training checkpoint holds of the model: the trained parameters, nothing else."""


class Measures(Protocol):
    """Measures the model while it is trained, see `validation.Validator`."""

    def __len__(self) -> int:
        """Return the number of dialogues."""

    def measure(self) -> dict[str, float]:
        """Return the figures of the model as it is now."""


class ObjectiveTrainer(Trainer):
    """Trains a module whose forward returns loss_sum and num_learned, and logs the sums by kind.

    The loss is the mean over all learned positions of a step, however they are spread over batches, accumulation
    steps and processes.
    """

    def __init__(
        self, model: nn.Module, args: TrainingArguments, validator: Measures | None = None, **options: Any
    ) -> None:
        """Take what `transformers.Trainer` takes, and what measures the model."""
        super().__init__(model=model, args=args, eval_dataset=validator, **options)
        self._validator = validator
        self.model_accepts_loss_kwargs = True
        self._sums: dict[str, Tensor | float] = defaultdict(float)
        self.remove_callback(ProgressCallback)
        self.add_callback(EvaluationLines)
        if not args.disable_tqdm:
            self.add_callback(LossBar)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the loss of a batch. Its parts are summed up for the log."""
        output = model(**inputs)
        for name in ("stream", "text"):
            if f"{name}_sum" in output:
                # Tensors, so that a GPU is waited for only when the log is written.
                self._sums[f"{name}_sum"] += output[f"{name}_sum"]
                self._sums[f"num_{name}"] += output[f"num_{name}"]
        loss = output["loss"]
        if num_items_in_batch is not None:
            loss = output["loss_sum"] / num_items_in_batch
            if self.args.average_tokens_across_devices:
                loss = loss * self.accelerator.num_processes
        return (loss, output) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the mean loss of stream and text positions to what is logged."""
        for name in ("stream", "text"):
            if "loss" in logs and self._sums[f"num_{name}"] > 0:
                logs[f"{name}_loss"] = round(float(self._sums[f"{name}_sum"] / self._sums[f"num_{name}"]), 5)
        if "loss" in logs:
            self._sums.clear()
        super().log(logs, start_time)

    def evaluate(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> dict[str, float]:
        """Measure the model and log it, as the Trainer does with its own evaluation."""
        if self._validator is None:
            return {}
        model: Any = self.model
        model.eval()
        try:
            figures = self._validator.measure()
        finally:
            model.train()
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in figures.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    # Checkpoints hold what is trained. The frozen rest comes from where the run started.

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        if not self.args.should_save:  # every process is here, one writes
            return
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        save_trained(cast(nn.Module, self.model), folder / WEIGHTS_NAME, state_dict)
        torch.save(self.args, folder / "training_args.bin")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        path = Path(resume_from_checkpoint) / WEIGHTS_NAME
        if path.exists():
            load_trained(model or cast(nn.Module, self.model), path)
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)


def save_trained(model: nn.Module, path: Path, state_dict: dict[str, Tensor] | None = None) -> None:
    """Write the trained parameters.

    Args:
        model: has them.
        path: of the file.
        state_dict: of the model, where its parameters are spread over processes.
    """
    tensors = model.state_dict() if state_dict is None else state_dict
    trained = _trained_names(model)
    named = {_plain(name): tensor for name, tensor in tensors.items()}
    save_file({name: t.detach().cpu().contiguous() for name, t in named.items() if name in trained}, path)


def load_trained(model: nn.Module, path: Path) -> None:
    """Put the weights of a training checkpoint back.

    Raises:
        ConfigError: it holds other parameters than those that are trained now.
    """
    weights = load_file(path)
    trained = _trained_names(model)
    if weights.keys() != trained:
        other = sorted(weights.keys() ^ trained)[0]
        raise ConfigError(f"{path} is of a run that trained other parameters, for example {other}; start a new run")
    model.load_state_dict(weights, strict=False)


def cast_parameters(model: nn.Module, dtype: torch.dtype) -> None:
    """Cast the parameters, not the buffers.

    FSDP flattens parameters of one type only. Once they are spread, it keeps the trained ones in float32 itself.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)


def _trained_names(model: nn.Module) -> set[str]:
    return {_plain(name) for name, parameter in model.named_parameters() if parameter.requires_grad}


def _plain(name: str) -> str:
    """Return a parameter's name without what FSDP puts in."""
    return name.replace("_fsdp_wrapped_module.", "")


class EvaluationLines(TrainerCallback):
    """Prints the figures of each evaluation, beside a bar where there is one."""

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Print one line."""
        if state.is_world_process_zero and metrics:
            figures = " ".join(f"{name}={value:.4g}" for name, value in metrics.items())
            tqdm.write(f"step {state.global_step}: {figures}")


class LossBar(ProgressCallback):
    """The Trainer's bar with the newest losses on it instead of a line for each log."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the losses on the bar."""
        if state.is_world_process_zero and self.training_bar is not None and logs:
            shown = {name.removesuffix("_loss"): logs[name] for name in logs if name.endswith("loss")}
            self.training_bar.set_postfix({name: f"{float(value):.4f}" for name, value in shown.items()})
