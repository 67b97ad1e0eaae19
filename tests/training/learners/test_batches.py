"""The order of the blocks: on any number of processes and parts, every step has the same blocks, once and in order."""

from __future__ import annotations

import numpy as np
import pytest

from training.errors import BatchNotDivisible
from training.learners.batches import NO_LOSS, BlockBatches, Split, load_batches


def _blocks(n: int) -> np.ndarray:
    return np.arange(n * 3, dtype=np.uint16).reshape(n, 3)


def _steps(n_blocks: int, batch_size: int, n_parts: int, n_processes: int) -> list[list[int]]:
    """Return the blocks with a loss of every step, by part and then by process, as they come out of the loaders."""
    steps: dict[int, list[int]] = {}
    loaders = []
    for process in range(n_processes):
        split = Split(batch_size, n_parts, n_processes, process)
        loaders.append(load_batches(BlockBatches(_blocks(n_blocks), None, split), pin_memory=False))
    assert len({len(loader) for loader in loaders}) == 1  # nobody waits for one that has ended
    for part, batches in enumerate(zip(*loaders, strict=True)):
        for batch in batches:
            own = batch["labels"][:, 0] != NO_LOSS
            steps.setdefault(part // n_parts, []).extend((batch["input_ids"][own, 0] // 3).tolist())
    return [steps[i] for i in sorted(steps)]


@pytest.mark.parametrize(("n_parts", "n_processes"), [(1, 1), (1, 2), (2, 1), (2, 2), (1, 4), (4, 1), (2, 4)])
@pytest.mark.parametrize("n_blocks", [1, 7, 8, 9, 16, 21])
def test_every_step_has_the_same_blocks_in_order(n_blocks: int, n_parts: int, n_processes: int) -> None:
    expected = [list(range(first, min(first + 8, n_blocks))) for first in range(0, n_blocks, 8)]
    assert _steps(n_blocks, 8, n_parts, n_processes) == expected


def test_batches_are_the_blocks_themselves_every_time_they_are_read() -> None:
    blocks = _blocks(10)
    loader = load_batches(BlockBatches(blocks, None, Split(4)), pin_memory=False)
    for _ in range(2):
        read = [batch["input_ids"] for batch in loader]
        assert [len(ids) for ids in read] == [4, 4, 2]
        assert np.array_equal(np.concatenate([ids.numpy() for ids in read]), blocks)


def test_a_loader_can_begin_later() -> None:
    from accelerate import skip_first_batches

    loader = skip_first_batches(load_batches(BlockBatches(_blocks(10), None, Split(4)), pin_memory=False), 2)
    assert [batch["input_ids"][:, 0].tolist() for batch in loader] == [[24, 27]]


def test_weights_come_with_the_sum_of_their_whole_step() -> None:
    rng = np.random.default_rng(0)
    blocks, weights = _blocks(11), rng.random((11, 3)).astype(np.float32)
    for process in range(2):
        batches = load_batches(BlockBatches(blocks, weights, Split(8, 2, 2, process)), pin_memory=False)
        for part, batch in enumerate(batches):
            step = weights[part // 2 * 8 : part // 2 * 8 + 8]
            assert float(batch["total_weight"]) == pytest.approx(float(step[:, 1:].sum()), rel=1e-6)
            if (batch["labels"] == NO_LOSS).any():
                assert not batch["weights"].any()
            else:
                rows = (batch["input_ids"][:, 0] // 3).numpy()
                assert np.array_equal(batch["weights"].numpy(), weights[rows])


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(BatchNotDivisible, match="multiple of 6") as caught:
        Split(8, 2, 3)
    assert (caught.value.batch_size, caught.value.n_processes, caught.value.n_parts) == (8, 3, 2)
