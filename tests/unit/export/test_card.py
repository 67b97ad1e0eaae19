"""Dataset cards: the hub's own libraries read the header and load the data; tables and plots say what the draws are."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

import pytest

from provenance.export import card
from provenance.export.card import export_card, size_category
from provenance.export.files import file_sha256
from provenance.export.plot import Bar, ranked, stacked
from provenance.mix.errors import ExportFailed, OutputExists
from provenance.store.store import Store
from tests.factories import provenance
from tests.unit.export.published import AUTHOR, BOOKS, OUTPUTS, draw, drawn, fill

DATA = "data/train-00000-of-00001.parquet"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with Store.create(tmp_path_factory.mktemp("card") / "store.duckdb") as store:
        fill(store)
        with store.transaction() as connection:
            connection.exec_driver_sql(
                """INSERT INTO annotation BY NAME SELECT document_id, 'language' AS attribute,
                   CASE WHEN external_id LIKE '%1' THEN 'de' WHEN external_id LIKE '%2' THEN 'German!' ELSE 'en' END
                   AS text, now()::TIMESTAMP AS annotated_at FROM document"""
            )
        yield draw(store)


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("card") / "out"
    export_card(made, folder, creator="<i>Nobody</i> | Sons")
    return folder


@pytest.fixture(scope="module")
def text(folder):
    return (folder / "README.md").read_text("utf-8")


def table(text, heading):
    """Return the rows of the first table below a heading."""
    part = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_the_library_of_the_hub_reads_the_header(made, folder):
    from huggingface_hub import DatasetCard, DatasetCardData

    data = DatasetCard.load(folder / "README.md").data
    assert isinstance(data, DatasetCardData)
    found = data.to_dict()
    assert sorted(found["license"]) == ["cc-by-4.0", "cc0-1.0", "other", "unknown"]
    assert "LicenseRef-Ours" in found["license_name"]
    assert found["language"] == ["en", "de"]
    assert found["size_categories"] == [size_category(len(made))]
    assert found["tags"] == ["provenance", "synthetic"]
    assert found["language_creators"] == ["found", "machine-generated"]
    assert found["provenance"]["digest"] == made.digest


@pytest.mark.parametrize(
    ("n", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**6 - 1, "100K<n<1M"), (10**6, "1M<n<10M"), (10**9, "n>1B")],
)
def test_sizes(n, name):
    assert size_category(n) == name


def test_the_library_loads_the_draws_without_the_network(made, folder, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path))
    stored = drawn(made)
    for name in ("text", "origin", "generation", "model", "source", "licence", "author", "authored_at", "position"):
        assert loaded[name][:] == [row[name] for row in stored], name
    assert loaded["document_id"][:] == [str(row["document_id"]) for row in stored]
    assert loaded["parents"][:] == [row["parents"] or [] for row in stored]


def test_the_tables_say_what_was_drawn(made, text):
    stored = drawn(made)
    words, documents = Counter(), Counter()
    for row in stored:
        name = row["origin"]
        if name != "human":
            name += f", generation {'unknown' if row['generation'] is None else row['generation']}"
        for kind, key in (("origin", name), ("source", row["source"])):
            words[kind, key] += row["n_words"]
            documents[kind, key] += 1
    total = sum(row["n_words"] for row in stored)

    def expected(kind, key):
        n = words[kind, key]
        return [f"{documents[kind, key]:,}", f"{n:,}", f"{n / total:.2%}"]

    composition = table(text, "Composition")
    named = {row[0]: row[1:] for row in composition if row[0].startswith(("human", "synthetic", "mixed"))}
    assert named == {key: expected(kind, key) for kind, key in words if kind == "origin"}
    sources = [row[2:] for row in table(text, "Sources")]
    assert sorted(sources) == sorted(expected("source", key) for key in (BOOKS, OUTPUTS))
    [quota] = table(text, "Quotas")
    [asked] = made.manifest["quotas"]
    assert quota[2:] == ["at least 0.6", f"{asked['units'] / asked['total']:.4f}",
                         f"{asked['units']:,} of {asked['total']:,}"]  # fmt: skip
    assert made.digest in text
    assert "| seed | 0 |" in text
    repeated = sum(row["repeat"] > 0 for row in stored)
    assert f"{repeated:,} draws repeat a document that was drawn before." in text


def test_the_phases_of_a_curriculum_are_told(made, tmp_path):
    phases = [{"name": "early", "share": 0.25}, {"name": "late", "share": 0.75}]
    for unit, n in (("words", 3), ("documents", 2)):
        phased = draw(made.store, f"in-{unit}", budget={unit: 80}, order={"curriculum": phases}, quotas=[])
        export_card(phased, tmp_path / unit)
        lines = table((tmp_path / unit / "README.md").read_text("utf-8"), "Phases")
        assert [line[:2] for line in lines] == [["early", "0.25 of the budget"], ["late", "0.75 of the budget"]]
        [first, second] = [[int(cell) for cell in line[2:]] for line in lines]
        assert len(first) == n and first[0] == 0 and second[0] == first[1]
        assert first[1] + second[1] == len(phased)
        assert first[-1] + second[-1] == phased.manifest["budget"]["used"]


@pytest.mark.parametrize(
    ("licence", "called"),
    [("GPL-3.0-only", "gpl-3.0"), ("GPL-3.0-or-later", "other"), ("ODC-By-1.0", "odc-by"), ("NOASSERTION", "unknown")],
)
def test_what_the_hub_calls_a_licence(licence, called):
    assert card._hub_licence(licence) == called


def test_names_of_any_characters_stand_in_it_as_they_are(text, folder):
    assert r"the bücher/1 \| \<b\>%41" in text
    assert r"\<i\>Nobody\</i\> \| Sons" in text
    assert AUTHOR not in text  # authors are in the data, not in the card
    for line in text.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 5, 6)
    drawn_names = [one.text for one in ElementTree.parse(folder / "plots" / "sources.svg").iter(f"{SVG}text")]  # noqa: S314
    assert {BOOKS, OUTPUTS} <= set(drawn_names)


def test_every_link_leads_somewhere_and_the_digest_is_that_of_the_file(text, folder):
    for link in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text):
        assert (folder / link).is_file()
    assert f"{file_sha256(folder / DATA)}  {DATA}" in text
    answer = provenance("verify", folder / DATA)
    assert answer.code == 0, answer.err + answer.out


def rects(svg, *, height):
    return [one for one in ElementTree.fromstring(svg).iter(f"{SVG}rect") if one.get("height") == height]  # noqa: S314


def test_plots_are_as_wide_as_the_shares():
    bars = [Bar(f"n{i}" * 20, share, "1 word", "#123456") for i, share in enumerate((0.5, 0.3, 0.15, 0.05))]
    areas = rects(stacked("t <&>", bars), height="44")
    widths = [float(one.get("width")) + 1.5 for one in areas]
    assert [width / sum(widths) for width in widths] == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=1e-3)
    right = max(float(one.get("x")) + float(one.get("width")) for one in areas)
    assert right <= 740
    ranks = rects(ranked("t", bars), height="20")
    lengths = [float(one.get("width")) for one in ranks]
    assert [length / lengths[0] for length in lengths] == pytest.approx([1, 0.6, 0.3, 0.1], abs=1e-3)
    for empty in (stacked("t", []), ranked("t", [])):
        ElementTree.fromstring(empty)  # noqa: S314


def test_a_failure_leaves_nothing(made, folder, tmp_path, monkeypatch):
    with pytest.raises(OutputExists):
        export_card(made, folder)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(card, "_write", full)
    with pytest.raises(ExportFailed, match="No space left"):
        export_card(made, tmp_path / "other")
    assert list(tmp_path.iterdir()) == []
