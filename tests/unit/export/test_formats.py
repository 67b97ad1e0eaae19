"""The command `export`: every format of the registry is offered, and those for publishing are written."""

from __future__ import annotations

import json

import pytest

from provenance.cli.exporting import WRITERS, ExportFormat
from tests.factories import provenance
from tests.unit.export.published import draw, fill

PUBLISHED = {"croissant": "croissant.json", "card": "README.md", "prov": ""}


def test_every_format_is_offered():
    assert [one.value for one in ExportFormat] == list(WRITERS)
    answer = provenance("export", "m", "--format", "nope", "--out", "x")
    assert answer.code == 2
    assert all(name in answer.err for name in WRITERS)


@pytest.fixture
def path(empty_store):
    draw(fill(empty_store), budget={"words": 500}, repeats={"max": 1})
    empty_store.close()
    return empty_store.path


def test_formats_for_publishing(path, tmp_path):
    for kind, file in PUBLISHED.items():
        out = tmp_path / kind
        answer = provenance("--store", path, "export", "m", "--format", kind, "--creator", "Ann", "--out", out)
        assert answer.code == 0, answer.err
        assert (out / file).is_file()
        again = provenance("--store", path, "export", "m", "--format", kind, "--out", out)
        assert (again.code, again.err.count("\n")) == (1, 1)
    assert json.loads((tmp_path / "croissant" / "croissant.json").read_text("utf-8"))["creator"]["name"] == "Ann"
    assert "Published by Ann." in (tmp_path / "card" / "README.md").read_text("utf-8")
