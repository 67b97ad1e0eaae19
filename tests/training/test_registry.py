from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from training.errors import UnknownLearner
from training.learners import config_type, learner_type


def test_unknown_learner_names_the_nearest() -> None:
    with pytest.raises(UnknownLearner, match="Did you mean 'transformer'") as caught:
        learner_type("transfomer")
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert copy.name == "transfomer" and str(copy) == str(caught.value)
    with pytest.raises(UnknownLearner):
        config_type("gpt")


def test_ngram_loop_needs_no_torch() -> None:
    code = (
        "import sys, training.experiment, training.learners, training.cli; training.learners.learner_type('ngram');"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'tokenizers', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
