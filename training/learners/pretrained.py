"""Causal LMs and their tokenizers by name or local folder; everything that can be wrong with them is one error."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from training.errors import ModelNotFound
from training.learners import runtime
from training.learners.tokenizers import with_beginning

#: Letters of a reason; some of them quote a whole file.
_LONGEST_REASON = 300


class Marks(NamedTuple):
    """The tokens with which a model begins a text, and those with which it ends one; a beginning is an end as well."""

    begin: int
    ends: tuple[int, ...]


def marks_of(config: Any, name: str) -> Marks:
    """Return the marks of texts that a model's configuration names.

    Raises
    ------
    ModelNotFound : it names none, so texts cannot be told apart
    """
    bos, eos = getattr(config, "bos_token_id", None), getattr(config, "eos_token_id", None)
    ends = sorted({bos, *(eos if isinstance(eos, list) else [eos])} - {None})
    if not ends:
        raise ModelNotFound(name, "its config.json names neither bos_token_id nor eos_token_id")
    return Marks(ends[0] if bos is None else bos, tuple(ends))


def load_tokenizer(model: str) -> str:
    """Return the definition of a model's own tokenizer; if it does not mark where texts begin, with such a mark.

    Raises
    ------
    ModelNotFound : there is no such model, or it cannot be reached, or its tokenizer is of no use here
    """
    runtime.prepare()
    from transformers import AutoConfig, AutoTokenizer

    with _one_error(model):
        where = _where(model)
        config = AutoConfig.from_pretrained(where)  # first: where there is nothing, this says so best
        tokenizer = AutoTokenizer.from_pretrained(where)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelNotFound(model, "its tokenizer has no fast version (tokenizer.json), which keeps places of tokens")
    return with_beginning(cast(str, backend.to_str()), marks_of(config, model).begin)


def load_model(model: str, *, pretrained: bool, dtype: str) -> Any:
    """Load a causal LM by name or folder, or make one of its shape with random weights.

    Parameters
    ----------
    dtype : what the weights are kept in, as torch names it

    Raises
    ------
    ModelNotFound : there is no such model, or it cannot be reached, or it is no causal LM
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind = getattr(torch, dtype)
    with _one_error(model):
        where = _where(model)
        if pretrained:
            return AutoModelForCausalLM.from_pretrained(where, dtype=kind)
        shape = AutoConfig.from_pretrained(where)
        return AutoModelForCausalLM.from_config(shape, dtype=torch.float32).to(kind)  # type: ignore[no-untyped-call]


def save_tokenizer(directory: Path, tokenizer_json: str, config: Any, *, context: int) -> None:
    """Save a tokenizer with the special tokens of a model's configuration, so that transformers' Auto classes load it.

    Notes
    -----
    The class is written under the name that older versions of transformers know as well.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer.from_str(tokenizer_json)
    marks = marks_of(config, str(directory))
    eos = getattr(config, "eos_token_id", None)
    numbers = {
        "bos_token": marks.begin,
        "eos_token": eos[0] if isinstance(eos, list) else eos if eos is not None else marks.begin,
        "pad_token": getattr(config, "pad_token_id", None),
    }
    names = {name: tokenizer.id_to_token(number) for name, number in numbers.items() if number is not None}
    unknown = json.loads(tokenizer_json)["model"].get("unk_token")
    saved = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=context,
        **{name: token for name, token in {**names, "unk_token": unknown}.items() if token is not None},
    )
    saved.save_pretrained(directory)
    settings = directory / "tokenizer_config.json"
    described = json.loads(settings.read_text(encoding="utf-8"))
    described["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def positions_of(config: Any) -> int | None:
    """Return the number of tokens that a model can tell the places of; None if it says no number."""
    for name in ("max_position_embeddings", "n_positions"):
        found = getattr(config, name, None)
        if found is not None:
            return int(found)
    return None


def _where(model: str) -> str:
    """Return the path or the name that transformers is to be given.

    Raises
    ------
    FileNotFoundError : it can only be a path, and nothing is there
    """
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise FileNotFoundError("the folder has no config.json")
        return str(path)
    if model.startswith((".", "~", os.sep)) or model.count("/") > 1 or path.exists():
        raise FileNotFoundError(f"{path} is not a folder" if path.exists() else f"there is no folder {path}")
    return model


@contextmanager
def _one_error(model: str) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, SafetensorError) as error:
        raise ModelNotFound(model, _in_one_line(error)) from error


def _in_one_line(error: Exception) -> str:
    said = " ".join(str(error).split()).rstrip(".")
    return said[:_LONGEST_REASON] if said else type(error).__name__
