"""The law of reading: one order of global batches, whatever the ranks, wherever a run stops and goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.export.schedule import Schedule


def rank_schedules(n, batch_size, world_size, *, drop_last=False):
    return [Schedule(n, batch_size, rank, world_size, drop_last) for rank in range(world_size)]


def global_batches(n, batch_size, world_size, position, *, drop_last=False):
    """Return what all ranks together read in every step to the end of the epoch, and the position after each."""
    ranks = rank_schedules(n, batch_size, world_size, drop_last=drop_last)
    found = []
    for steps in zip(*(schedule.steps(position) for schedule in ranks), strict=True):
        assert len({step.after for step in steps}) == 1
        sizes = [step.high - step.low for step in steps]
        assert max(sizes) - min(sizes) <= 1
        found.append(([g for step in steps for g in range(step.low, step.high)], steps[0].after))
    return found


sizes = st.integers(1, 60)


@given(sizes, st.integers(1, 20), st.integers(1, 6), st.integers(0, 3), st.booleans())
def test_the_batches_are_the_same_for_every_world_size(n, batch_size, world_size, epoch, drop_last):
    batch_size = max(batch_size, world_size)
    if drop_last and n < batch_size:
        with pytest.raises(ValueError, match="leaves nothing"):
            Schedule(n, batch_size, drop_last=True)
        return
    found = global_batches(n, batch_size, world_size, epoch * n, drop_last=drop_last)
    assert found == global_batches(n, batch_size, 1, epoch * n, drop_last=drop_last)
    assert len(found) == len(Schedule(n, batch_size, drop_last=drop_last))
    assert found[-1][1] == (epoch + 1) * n
    samples = [g for batch, _ in found for g in batch]
    kept = n - n % batch_size if drop_last else n
    assert samples == list(range(kept))
    assert all(len(batch) == batch_size for batch, _ in found[:-1])


@given(sizes, st.integers(0, 200), st.data())
def test_runs_that_stop_and_go_on_lose_and_repeat_nothing(n, n_steps, data):
    """A run changes its ranks and its batch at any step; in each epoch every sample is read once, in order."""
    position, read = 0, []
    while n_steps > 0 and position < 3 * n:
        world_size = data.draw(st.integers(1, 5))
        batch_size = data.draw(st.integers(world_size, 12))
        steps = data.draw(st.integers(1, 8))
        n_steps -= steps
        for batch, after in global_batches(n, batch_size, world_size, position)[:steps]:
            read += batch
            position = after
    assert len(read) == position
    assert read == [g % n for g in range(position)]


@given(sizes, st.integers(1, 8), st.integers(1, 8), st.integers(0, 300))
def test_what_is_dropped_is_skipped_wherever_a_run_goes_on(n, batch_size, other, position):
    if n < batch_size:
        return
    schedule = Schedule(n, batch_size, drop_last=True)
    for step in schedule.steps(position):
        assert step.high - step.low == batch_size
        assert 0 <= step.low < step.high <= n
        assert step.after % n == 0 or n - step.after % n >= batch_size
    assert step.after % n == 0


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="no rank 2 of 2"):
        Schedule(10, 4, 2, 2)
    with pytest.raises(ValueError, match="all ranks together"):
        Schedule(10, 2, 0, 3)
    assert list(Schedule(0, 4).steps(0)) == []
    assert len(Schedule(0, 4, drop_last=True)) == 0
