"""Checkpoints of a training: written at once or not at all, and enough to go on as if nothing had happened."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from training.trainer import Training


def write(training: "Training[Any]", path: Path) -> None:
    """Replaces the checkpoint at `path`."""
    state = {
        "model": training.model.state_dict(),
        "muon": training.muon.state(),
        "adam": training.adam.state_dict(),
        "step_count": training.step_count,
        "token_count": training.token_count,
        "spent_s": training.spent_s,
        "cursors": training.cursors,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def restore(training: "Training[Any]", path: Path) -> None:
    """Puts the state of a checkpoint into a fresh training of the same settings."""
    state = torch.load(path, weights_only=True)
    training.model.load_state_dict(state["model"])
    training.muon.restore(state["muon"])
    training.adam.load_state_dict(state["adam"])
    training.step_count = state["step_count"]
    training.token_count = state["token_count"]
    training.spent_s = state["spent_s"]
    training.cursors = dict(state["cursors"])
