"""The page as a whole, parsed as a browser would."""

from __future__ import annotations

import html
import pickle
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from provenance.store.store import Store
from training.experiment import Experiment
from training.report.errors import ReportNotWritten
from training.report.make import Report, write_report
from training.report.wording import typed

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = '<script>alert("owned")</script><img src=x onerror=alert(1)> </blockquote></main> {{ 7 * 7 }} & "quoted" '


class Page(HTMLParser):
    """Collects elements, their attributes, texts by element, and tables by id."""

    VOID = frozenset({"meta", "br", "img", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self._table: str | None = None
        self.unbalanced: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "table":
            self._table = dict(attrs)["id"] or ""
            self.tables[self._table] = []
        elif tag == "tr" and self._table is not None:
            self.tables[self._table].append([])
        elif tag in ("td", "th") and self._table is not None:
            self.tables[self._table][-1].append("")
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)
        if tag == "table":
            self._table = None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.append((self._open[-1], data))
            if self._table is not None and self.tables[self._table] and self.tables[self._table][-1]:
                self.tables[self._table][-1][-1] += typed(data).rstrip("\n")

    def within(self, tag: str) -> list[str]:
        return [text for each, text in self.texts if each == tag]

    def values(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[tuple[Report, str]]:
    folder = tmp_path_factory.mktemp("page")
    with Store.create(folder / "store.duckdb") as store:
        experiment = request.getfixturevalue("fake_experiment")(texts=lambda arm, seed, g: [f"{HOSTILE}{arm} {g} " * 9])
        experiment.fill(store)
        report = write_report(store, "demo", folder / "report.html")
    yield report, report.path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(written: tuple[Report, str]) -> Page:
    return Page(written[1])


def test_it_is_one_well_formed_page(written: tuple[Report, str], page: Page) -> None:
    assert written[1].startswith("<!doctype html>")
    assert page.unbalanced == []
    assert page.tags["html"] == page.tags["head"] == page.tags["body"] == page.tags["main"] == page.tags["h1"] == 1
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {ref.removeprefix("#") for ref in page.values("href")} <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", written[1])) <= set(ids)


def test_it_loads_nothing_and_runs_nothing(written: tuple[Report, str], page: Page) -> None:
    for tag in ("script", "link", "img", "iframe", "object", "embed", "base", "form", "a"):
        assert page.tags[tag] == 0, tag
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name == "src"]
    assert all(value.startswith("#") for value in page.values("href"))
    plain = html.unescape(written[1]).lower()
    assert "http:" not in plain
    assert "https:" not in plain
    assert "@import" not in plain
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", plain))
    assert "default-src 'none'" in written[1]


def test_hostile_texts_are_shown_as_they_are(page: Page) -> None:
    texts = page.within("blockquote")
    assert len(texts) == 1 + 3 * 4
    assert all(text.startswith(HOSTILE) for text in texts)


def test_it_is_made_for_phones_for_print_and_for_the_dark(written: tuple[Report, str], page: Page) -> None:
    assert ("meta", "content", "width=device-width, initial-scale=1") in page.attributes
    assert "@media print" in written[1]
    assert "@media (prefers-color-scheme: dark)" in written[1]
    assert "@media (max-width: 40rem)" in written[1]


def test_every_colour_has_a_value_in_light_dark_and_print(written: tuple[Report, str]) -> None:
    style = written[1][: written[1].index("</style>")]
    defined = [set(re.findall(r"--([\w-]+):", block)) for block in re.findall(r":root\{(--[^}]*)\}", style)]
    assert len(defined) == 3
    assert defined[0] == defined[1] == defined[2]
    used = set(re.findall(r"var\(--([\w-]+)\)", written[1])) - {"sans", "mono"}
    assert used <= defined[0]
    body = written[1][written[1].index("</style>") :]
    assert not re.findall(r"#[0-9a-fA-F]{6}\b", body)  # no colour that does not follow the page


def test_the_summary_holds_the_numbers(written: tuple[Report, str], page: Page) -> None:
    rows = page.tables["summary"]
    assert [cell.strip() for cell in rows[1]] == [
        "replace (0 % human)", "6.60", "+1.61", "10.68", "4.36", "5.23", "98", "300",
    ]  # fmt: skip
    assert [cell.strip() for cell in rows[2]] == [
        "quota (50 % human)", "5.12", "+0.13", "7.52", "4.80", "7.66", "184", "1,201",
    ]  # fmt: skip
    assert [cell.strip() for cell in rows[3]] == [
        "human (control)", "4.99", "control", "7.19", "8.34", "9.15", "1,321", "1,971",
    ]  # fmt: skip
    assert [row.excess_ce and round(row.excess_ce.mean, 6) for row in written[0].rows] == [1.61, 0.13, None]


def test_all_numbers_are_there(page: Page) -> None:
    rows = page.tables["numbers"]
    assert len(rows) == 1 + 3 * 5
    assert rows[1] == ["replace", "0", "5.09", "7.40", "8.36", "9.16", "1,310", "1,950"]
    assert rows[10] == ["quota", "4", "5.12", "7.52", "4.80", "7.66", "184", "1,201"]


def test_there_is_a_panel_for_every_measure_and_arm(page: Page) -> None:
    labels = [typed(value) for tag, name, value in page.attributes if tag == "svg" and name == "aria-label"]
    assert sum("by generation." in label for label in labels) == 6
    assert sum("Composition of" in label for label in labels) == 3
    assert sum("How far from people" in label for label in labels) == 3
    assert len(labels) == 6 + 3 + 3
    assert any("At generation 4: replace 6.60; quota 5.12; human 4.99." in label for label in labels)
    [quota] = [label for label in labels if "Composition of the training sets of arm quota" in label]
    assert "generation 4: 50 % human, 50 % synthetic of generation 4" in quota
    texts = page.within("text")
    assert texts.count("generation") == 6
    assert {"nats per token", "nats per word", "bits per word", "human words in 10,000", "% of tokens"} <= set(texts)


def test_the_headline_is_the_first_thing(written: tuple[Report, str], page: Page) -> None:
    assert page.within("h1") == [written[0].headline.title]
    assert "What the quota held" in page.within("h2")
    assert "What it did not hold" in page.within("h2")


def test_digests_and_versions_are_there(page: Page) -> None:
    rows = page.tables["digests"][1:]
    assert Counter(row[0] for row in rows) == {"training set": 13, "model": 13}
    assert all(row[2] for row in rows)
    assert "corpus-provenance" in page.within("dt")
    assert "schema revision" in page.within("dt")


def test_the_same_store_gives_the_same_page(store: Store, fake: Any, tmp_path: Path) -> None:
    fake(generations=1).fill(store)
    first = write_report(store, "demo", tmp_path / "a.html").path.read_bytes()
    assert first == write_report(store, "demo", tmp_path / "b.html").path.read_bytes()


def test_the_experiment_on_the_page_can_be_run_again(store: Store, fake: Any, tmp_path: Path) -> None:
    experiment = Experiment.from_mapping(
        {
            "name": "demo",
            "corpus": "source = 'a' AND n_words > 3",
            "heldout": "title LIKE '%1797%'",
            "learner": {"name": "ngram"},
            "first": {"words": 1_000},
            "later": {"tokens": 500},
            "arms": [
                {"name": "replace", "regime": "replace"},
                {"name": "quota", "regime": "quota", "share": 0.5},
                {"name": "human", "regime": "human"},
            ],
            "generations": 1,
        }
    )
    fake(generations=1, config=experiment.as_mapping()).fill(store)
    report = write_report(store, "demo", tmp_path / "report.html")
    [config] = Page(report.path.read_text("utf-8")).within("pre")
    read = yaml.safe_load(config)
    read.pop("decoding")  # the fake's own
    assert Experiment.from_mapping({**read, "description": ""}).as_mapping() == experiment.as_mapping()


def test_a_folder_gets_a_file_named_after_the_experiment(store: Store, fake: Any, tmp_path: Path) -> None:
    fake(generations=1).fill(store)
    assert write_report(store, "demo", tmp_path).path == tmp_path / "demo.html"
    deep = tmp_path / "new" / "folder" / "page.html"
    assert write_report(store, "demo", deep).path == deep
    assert [path.name for path in deep.parent.iterdir()] == ["page.html"]


def test_a_page_that_cannot_be_written_is_a_clear_error(store: Store, fake: Any, tmp_path: Path) -> None:
    fake(generations=1).fill(store)
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportNotWritten, match="cannot be written") as caught:
        write_report(store, "demo", tmp_path / "file" / "report.html")
    assert isinstance(caught.value, OSError)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (again.path, str(again)) == (caught.value.path, str(caught.value))


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_several_seeds_and_unmeasured_metrics(store: Store, fake: Any, tmp_path: Path, n_seeds: int) -> None:
    def change(metric: str, arm: str, seed: int, generation: int, value: float) -> float | None:
        if metric == "t1_vocabulary" or (metric == "heldout_tail_ce" and arm == "quota" and generation == 1):
            return None
        return value * (1 + seed / 100)

    fake(seeds=tuple(range(n_seeds)), generations=2, change=change).fill(store)
    page = Page(write_report(store, "demo", tmp_path / "report.html").path.read_text("utf-8"))
    assert sum(tag == "svg" and name == "aria-label" for tag, name, _ in page.attributes) == 5 + 3 + 3
    assert page.tables["summary"][1][-1] == "–"
    assert "±" in page.tables["summary"][1][1]


def test_names_from_outside_cannot_break_the_page(store: Store, fake: Any, tmp_path: Path) -> None:
    arms = [{"name": '<b>"x"</b> $y$', "regime": "replace"}, {"name": "human", "regime": "human"}]
    fake(name="<i>e</i>", arms=arms, generations=1, config={"description": HOSTILE}).fill(store)
    page = Page(write_report(store, "<i>e</i>", tmp_path / "report.html").path.read_text("utf-8"))
    assert page.unbalanced == []
    assert page.tags["script"] == page.tags["img"] == 0
    assert page.tables["summary"][1][0].strip() == '<b>"x"</b> $y$ (0 % human)'


def test_importing_the_report_loads_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "matplotlib", "jinja2"}
    code = f"import sys, training.report.make; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []
