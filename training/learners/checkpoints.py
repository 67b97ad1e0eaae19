"""The states of one long training in a folder: whole or not there, and of this training or removed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

#: What the states in a folder were made from.
MADE_FROM = "made_from.json"
#: The file that is written into a state last.
WHOLE = "whole.json"
#: The loss of every step so far.
LOSSES = "losses.npy"
#: States that are kept: should the newest be lost with the machine, there is one before it.
N_KEPT = 2
#: Blocks whose digest is taken at once.
_CHUNK = 4096


class CheckpointFolder:
    """The states of one training, each a folder `checkpoint-STEP` as `transformers.Trainer` writes it.

    Parameters
    ----------
    made_from : everything that the result depends on; states of another training are removed by `claim`
    """

    def __init__(self, folder: Path, made_from: dict[str, Any]) -> None:
        self.folder = folder
        self.made_from = made_from

    def claim(self) -> None:
        """Make the folder this training's: remove what another left, and states that a kill left unfinished."""
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = self.folder / MADE_FROM
        ours = mark.exists() and json.loads(mark.read_text(encoding="utf-8")) == self.made_from
        for state in self._states():
            if not ours or not (state / WHOLE).exists():
                self._remove(state)
        if not ours:
            _write(mark, json.dumps(self.made_from, indent=2, sort_keys=True) + "\n")

    def latest(self) -> Path | None:
        """Return the last whole state, or None."""
        whole = [state for state in self._states() if (state / WHOLE).exists()]
        return whole[-1] if whole else None

    def seal(self, step: int, losses: npt.NDArray[np.float64]) -> None:
        """Say that the state of a step is whole, once it is on the disk, and remove those that are too many."""
        state = self.folder / f"checkpoint-{step}"
        np.save(state / LOSSES, losses)
        for path in state.rglob("*"):
            if path.is_file():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
        _write(state / WHOLE, json.dumps({"step": step}) + "\n")
        for older in [other for other in self._states() if other != state][: -N_KEPT + 1]:
            self._remove(older)

    def _states(self) -> list[Path]:
        states = [path for path in self.folder.glob("checkpoint-*") if path.name.split("-")[-1].isdigit()]
        return sorted(states, key=lambda path: int(path.name.split("-")[-1]))

    @staticmethod
    def _remove(state: Path) -> None:
        # A half removed state must not look whole.
        (state / WHOLE).unlink(missing_ok=True)
        shutil.rmtree(state)


def read_losses(state: Path) -> list[float]:
    """Return the loss of every step up to a state."""
    losses: list[float] = np.load(state / LOSSES, allow_pickle=False).tolist()
    return losses


def digest_of(values: npt.NDArray[Any]) -> str:
    """Return the SHA-256 of an array, its shape and its type; one on disk is read in parts."""
    digest = hashlib.sha256(f"{values.dtype.str} {values.shape}".encode())
    for first in range(0, len(values), _CHUNK):
        digest.update(np.ascontiguousarray(values[first : first + _CHUNK]).tobytes())
    return digest.hexdigest()


def _write(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
