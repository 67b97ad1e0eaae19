"""A mix that is killed leaves no half training set, and the same command makes the one it would have made."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

from provenance.demo.corpus import read_corpus
from provenance.ingest.pipeline import ingest_records
from provenance.mix.verify import verify
from provenance.records import Claim
from provenance.store.store import Store

SPEC = """
name: killed
budget: {words: 30_000}
quotas: [{name: human, where: "origin = 'human'", min: 0.9}]
seed: 5
"""
_ITEMS = "SELECT * FROM training_set_item ORDER BY position"
_SETS = "SELECT name, digest, manifest FROM training_set"


def _mix(store: Path, spec: Path) -> subprocess.Popen[bytes]:
    program = str(Path(sys.executable).with_name("provenance"))
    return subprocess.Popen(
        [program, "--store", str(store), "mix", str(spec)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def test_random_instants(tmp_path: Path) -> None:
    spec = tmp_path / "killed.yaml"
    spec.write_text(SPEC)
    before = tmp_path / "before.duckdb"
    with Store.create(before) as store:
        records = list(islice(read_corpus(), 150))
        ingest_records(store, records, name="part", source="messages", claim=Claim.make("human"))
    undisturbed = tmp_path / "undisturbed.duckdb"
    shutil.copyfile(before, undisturbed)
    started = time.monotonic()
    assert _mix(undisturbed, spec).wait() == 0
    whole_s = time.monotonic() - started
    with Store.open(undisturbed) as store:
        expected = [store.fetch(query).to_pylist() for query in (_ITEMS, _SETS)]
    assert expected[0]

    for share in (0.7, 0.93):
        killed = tmp_path / f"killed-{share}.duckdb"
        shutil.copyfile(before, killed)
        process = _mix(killed, spec)
        time.sleep(share * whole_s)
        process.kill()
        process.wait()
        with Store.open(killed) as store:
            found = [store.fetch(query).to_pylist() for query in (_ITEMS, _SETS)]
        assert found in ([[], []], expected)  # all of it or nothing
        assert _mix(killed, spec).wait() == 0
        with Store.open(killed) as store:
            assert not verify(store, "killed").violations
            found = [store.fetch(query).to_pylist() for query in (_ITEMS, _SETS)]
        assert found == expected
