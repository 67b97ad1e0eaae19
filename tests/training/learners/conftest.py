from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.training.learners import tiny

if find_spec("torch") is None:
    _ALSO_WITHOUT_TORCH = {"test_ngram.py", "test_categorical.py", "test_gaussian.py", "test_regression.py"}
    collect_ignore_glob = [
        path.name for path in Path(__file__).parent.glob("test_*.py") if path.name not in _ALSO_WITHOUT_TORCH
    ]


@pytest.fixture(scope="session")
def tokenizer_json() -> str:
    """Return the definition of the tokenizer of all tests of the tiny transformer."""
    return tiny.tokenizer_json()
