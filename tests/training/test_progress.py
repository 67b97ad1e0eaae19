from __future__ import annotations

import io

from training.progress import LineBoard, LiveBoard, board_for
from training.records import Run

RUNS = [Run("x", "shared", 1, 0, "x.shared.s1.g0"), Run("x", "replace", 1, 1, "x.replace.s1.g1")]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_elsewhere() -> None:
    stream = io.StringIO()
    board = board_for(stream)
    assert isinstance(board, LineBoard)
    board.begin(RUNS, lambda run: run.generation == 0)
    for done in range(3):
        board.update("x.replace.s1.g1", "fit", done, 1000)
    board.finish(RUNS[1], {"heldout_ce": 5.1234, "arm_entropy": 8.5})
    board.end()
    lines = [line.split("] ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines == [
        "1 models to make, 1 are there already",
        "x.replace.s1.g1: fit, 1,000 tokens",
        "x.replace.s1.g1: held-out 5.123 nats, entropy 8.50 bits (0 left)",
        "done",
    ]


def test_a_table_on_a_terminal() -> None:
    stream = _Terminal()
    board = board_for(stream)
    assert isinstance(board, LiveBoard)
    board.begin(RUNS, lambda run: run.generation == 0)
    board.update("x.replace.s1.g1", "fit", 500, 1000)
    board.finish(RUNS[1], {"heldout_ce": 5.1234})
    board.end()
    assert "replace" in stream.getvalue() and "5.123 nats" in stream.getvalue()
