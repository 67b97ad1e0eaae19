from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from provenance.errors import ProvenanceError
from training import errors
from training.errors import SampleTooSmall
from training.files import Folder, read_json, write_json
from training.learners.base import Sample
from training.learners.ngram import NgramLearner
from training.outputs import cut_to, is_usable
from training.work import GenerationTask
from training.workers import Workers


def test_text_is_cut_to_an_exact_number_of_tokens() -> None:
    tokenizer = NgramLearner.train_tokenizer(["a b c d e"], vocab_size=10)
    texts = ["a b c", "d e a", "b c"]
    assert cut_to(texts, tokenizer, 5) == ["a b c", "d e"]
    assert cut_to(texts, tokenizer, 6) == ["a b c", "d e a"]
    assert cut_to(texts, tokenizer, 99) == cut_to(texts, tokenizer, None) == texts
    assert cut_to(texts, None, 2) == texts[:2]


def test_unusable_texts() -> None:
    assert [is_usable(text) for text in ("a", "", " \n", "…", "a\0b", "国")] == [True, False, False, False, False, True]


def test_model_that_writes_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from training import outputs
    from training.learners.base import Decoding

    class Mute:
        turns = 0

        def sample(self, n: int, **_: object) -> list[Sample]:
            self.turns += 1
            return [Sample(" ", 1)] + [Sample("a b", 2)] * (self.turns == 1)

    tokenizer = NgramLearner.train_tokenizer(["a b"], vocab_size=10)
    monkeypatch.setattr(outputs, "tokenizer_of", lambda task: tokenizer)
    task = type("Task", (), {"seed": 1, "name": "m", "prompts": None})()
    with pytest.raises(SampleTooSmall, match="gave 2 usable tokens in 20 rounds"):
        outputs.draw_samples(task, Mute(), "arm", Decoding(), 10, progress=lambda *_: None)  # type: ignore[arg-type]


def test_files_are_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"
    assert read_json(path) is None
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1} and [p.name for p in path.parent.iterdir()] == ["file.json"]
    path.write_text('{"a":')
    assert read_json(path) is None


def test_output_folder_belongs_to_one_store(tmp_path: Path) -> None:
    first = Folder.claim(tmp_path, experiment="x", store_id="one")
    assert Folder.claim(tmp_path, experiment="x", store_id="one") == first
    with pytest.raises(errors.OutputTaken, match="another --out"):
        Folder.claim(tmp_path, experiment="x", store_id="two")


def some_task(name: str, empty: Path = Path("nothing")) -> GenerationTask:
    """Return a task whose training set is not there."""
    return GenerationTask(
        name, {"name": "ngram"}, "blocks", "tokens", "scratch", None, 8, 1, 1.0, 1, 1, {}, None, 1.0, 10, 10, None,
        None, (), *([empty] * 9),
    )  # fmt: skip


def test_failure_in_a_worker_keeps_its_facts(tmp_path: Path) -> None:
    empty = tmp_path / "none"
    with Workers(jobs=2, threads=1, progress=lambda *_: None) as workers:
        for name in ("one", "two"):
            workers.start(some_task(name, empty))
        [one, two] = workers.finish()
    assert type(one).__name__ == type(two).__name__ == "ExportDamaged"
    assert str(empty) in str(one)


def test_worker_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """A worker must not outlive a driver that was killed: it would go on writing."""
    code = (
        "import os, sys, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "import multiprocessing\n"
        "from training.workers import _begin_worker\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin_worker,\n"
        "                               initargs=(context.SimpleQueue(), 1))\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    script = tmp_path / "driver.py"
    script.write_text(code)
    root = str(Path(__file__).parents[2])
    driver = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert driver.stdout is not None
    worker = int(driver.stdout.readline())
    driver.kill()
    driver.wait()
    driver.stdout.close()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        status = Path(f"/proc/{worker}/stat")
        if status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the worker lives on")


#: Some value for every type that an error's facts have.
_SOME = {
    "str": "name",
    "int": 3,
    "float": 0.5,
    "Path": Path("folder"),
    "Iterable[str]": ["one", "two"],
    "object": 1,
    "Path | None": Path("folder"),
    "Fraction | None": Fraction(1, 2),
}


def _every_error() -> Iterator[Exception]:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == errors.__name__:
            facts = [fact for name, fact in inspect.signature(kind).parameters.items() if name != "self"]
            plain = [_SOME[fact.annotation] for fact in facts if fact.kind is not fact.KEYWORD_ONLY]
            named = {fact.name: _SOME[fact.annotation] for fact in facts if fact.kind is fact.KEYWORD_ONLY}
            yield kind(*plain, **named)


def test_every_error_survives_pickling() -> None:
    """Errors come from workers by pickle; facts and message must come with them."""
    found = list(_every_error())
    assert len(found) > 20
    for error in found:
        assert isinstance(error, ProvenanceError)
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert type(copy) is type(error) and str(copy) == str(error) and vars(copy) == vars(error)
        assert "\n" not in str(error)
