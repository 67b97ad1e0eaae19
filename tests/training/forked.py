"""Runs `recurse` again and again, each time in a process of its own that is really killed, without importing anew.

A server imports torch and the loop once and forks a process for every run. A run is given moments: "after the second
call of this function, kill yourself". The kill is SIGKILL: nothing is cleaned up.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.training.loop_factory import environment


class Forked:
    """The server, as a test sees it.

    Parameters
    ----------
    torch : whether it imports what transformers need
    """

    def __init__(self, *, torch: bool) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.training.forked", *(["torch"] if torch else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment(), "OMP_WAIT_POLICY": "passive", "TOKENIZERS_PARALLELISM": "false"},
        )

    def run(self, *arguments: object, kill: str | None = None) -> tuple[int, str]:
        """Run the command; return its exit status (negative: the signal that ended it) and what it said.

        Parameters
        ----------
        kill : `module:name`, `@before` or `@after`, `#n`: dies before or after the n-th call of that function
        """
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps({"arguments": [str(one) for one in arguments], "kill": kill}) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        return answer["status"], answer["said"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.kill()
        self._server.communicate()


def _die_at(moment: str) -> None:
    """Replace a function by one that kills this process at its n-th call."""
    import importlib

    place, when, number = moment.replace("#", "@").split("@")
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *names, last = path.split(".")
    for name in names:
        owner = getattr(owner, name)
    original, left = getattr(owner, last), int(number)

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if not left and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = original(*arguments, **named)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, last, counted)


def _child(order: dict[str, Any], said: Path) -> None:
    """Run one command; never returns."""
    sys.stderr = said.open("w", encoding="utf-8", buffering=1)
    sys.stdout = sys.stderr
    from training.cli import main

    status = 0
    try:
        if order["kill"]:
            _die_at(order["kill"])
        main(order["arguments"])
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 70
    sys.stderr.flush()
    os._exit(status)


def _serve(*, torch: bool) -> None:
    import tempfile

    import training.loop
    import training.plan  # noqa: F401

    if torch:
        from training.workers import _load_libraries

        _load_libraries("transformer")
    said = Path(tempfile.mkdtemp()) / "said"
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _child(json.loads(line), said)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(json.dumps({"status": status, "said": said.read_text(encoding="utf-8")}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(torch="torch" in sys.argv)
