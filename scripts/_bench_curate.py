"""How long a person waits at `provenance curate`: in a pseudo-terminal, from the start and from key to key."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

_PROMPT, _SHOWN = b"[q]uit ", b" of 100 "
_STYLES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_TIMEOUT_S = 120
_COMMAND = "import sys; from provenance.cli import main; sys.exit(main())"


class _Terminal:
    def __init__(self, command: list[str]) -> None:
        self._ours, theirs = pty.openpty()
        self._start = time.perf_counter()
        self._process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self._seen = b""

    def until(self, words: bytes) -> float:
        """Return after how many seconds words appear; what stood before them is forgotten."""
        while words not in (plain := _STYLES.sub(b"", self._seen)):
            if not select.select([self._ours], [], [], _TIMEOUT_S)[0]:
                raise TimeoutError(f"curate did not show {words!r}: {plain.decode(errors='replace')}")
            self._seen += os.read(self._ours, 65536)
        self._seen = plain.partition(words)[2]
        return time.perf_counter() - self._start

    def press(self, key: bytes) -> None:
        self._start = time.perf_counter()
        os.write(self._ours, key)

    def leave(self) -> None:
        self.press(b"q")
        self._process.wait()
        os.close(self._ours)


def curated(path: Path, repeats: int) -> dict[str, float]:
    """Return the seconds until the first document is asked about, and of a judgement: shown the next, and asked about.

    Parameters
    ----------
    path : a store with at least 100 documents to judge; some of them are judged
    """
    command = [sys.executable, "-c", _COMMAND, "--store", str(path), "curate", "--judge", "bench"]
    first, shown, asked = [], [], []
    for _ in range(repeats):
        terminal = _Terminal(command)
        first.append(terminal.until(_PROMPT))
        for key in (b"h", b"s", b"x"):
            terminal.press(key)
            shown.append(terminal.until(_SHOWN))
            asked.append(terminal.until(_PROMPT))
        terminal.leave()
    return {"curate_first_s": median(first), "curate_shown_s": median(shown), "curate_asked_s": median(asked)}
