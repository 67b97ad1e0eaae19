"""A store with documents to judge, and `provenance curate` in a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from provenance.store.store import Store
from tests.factories import command, environment, ingest, prose

PROMPT = "[q]uit "
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


def fill(store: Store) -> None:
    """Unknown documents of 100, 300 and 200 words, a human one, and a synthetic one with a near-copy as unknown."""
    ingest(
        store, [{"id": f"u{n}", "text": prose(n, n_words=n)} for n in (100, 300, 200)], source="crawl", origin="unknown"
    )
    ingest(store, [{"id": "h", "text": prose(1, n_words=80)}], source="books")
    ingest(
        store, [{"id": "s", "text": prose(2, n_words=80)}], source="bot", origin="synthetic", generation=1, model="m"
    )


class Desk:
    """Somebody at a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process, self.terminal, self.seen = process, terminal, b""

    def until(self, words: str, *, timeout_s: float = 30) -> str:
        """Wait until the screen shows these words; return what was shown since the last time, and forget it."""
        deadline = time.monotonic() + timeout_s
        while words.encode() not in _CONTROL.sub(b"", self.seen):
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"waited for {words!r} and saw: {self.seen.decode(errors='replace')}"
            try:
                self.seen += os.read(self.terminal, 65536)
            except OSError as error:
                raise AssertionError(f"ended before {words!r}: {self.seen.decode(errors='replace')}") from error
        shown, self.seen = _CONTROL.sub(b"", self.seen).decode(errors="replace"), b""
        return shown

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self.terminal, key.encode())

    def leave(self) -> int:
        """Quit and return the exit status."""
        self.press("q")
        return self.process.wait(30)


@contextlib.contextmanager
def at_desk(store: Path, *arguments: str, wait_s: float = 10) -> Iterator[Desk]:
    """Run `provenance curate` in a pseudo-terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("--store", store, "--wait", wait_s, "curate", *arguments),
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment(TERM="xterm", COLUMNS="160", LINES="50"),
    )  # fmt: skip
    os.close(theirs)
    with process:
        try:
            yield Desk(process, ours)
        finally:
            if process.poll() is None:
                process.kill()
            os.close(ours)
