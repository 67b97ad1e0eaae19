"""Importing torch and transformers, quietly and with the threads that were asked for."""

from __future__ import annotations

import os
import warnings

_threads = 1


def set_threads(n_threads: int) -> None:
    """Set the threads of one torch process; to be called before a transformer is made.

    Notes
    -----
    Two spinning OpenMP threads on a busy machine make a tiny model up to 70 times slower than one, hence the passive
    wait. It is read when torch is first imported.
    """
    global _threads
    _threads = n_threads
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def prepare() -> None:
    """Import torch and transformers, set threads, and turn off progress bars and hints meant for notebooks."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with warnings.catch_warnings():
        # What these libraries say about each other while they are imported is no concern of the user.
        warnings.simplefilter("ignore")
        import torch
        import transformers
    torch.set_num_threads(_threads)
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
