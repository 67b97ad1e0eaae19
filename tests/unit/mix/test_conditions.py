from __future__ import annotations

import pytest

from provenance.mix.conditions import parse_condition
from provenance.mix.errors import ConditionError

ALLOWED = [
    "origin = 'human' and n_words >= 20",
    "licence_class in ('public-domain', 'permissive')",
    "authored_at < date '1900-01-01' or authored_at > timestamp '2000-01-01 00:00:00'",
    "title like 'A%' or title ilike '%b' and not author similar to 'x'",
    "metadata->>'lang' = 'en' and metadata->>'$.a.b' = 'c'",
    "year(authored_at) between 1790 and 1900",
    "extract(year from authored_at) = 1900",
    "contains(text, 'x') and starts_with(text, 'y') and length(text) > 3",
    "regexp_matches(text, '^a')",
    "generation is null and model is not distinct from 'x'",
    "case when origin = 'human' then true else false end",
    "coalesce(generation, 9) < 2",
    "generation::int = 1",
    "documents.origin = 'human'",
    "\"ORIGIN\" = 'human'",
    "evidence_rank >= 3",
    "n_words % 2 = 0 and -n_words < abs(3)",
    "authored_at + interval 1 year > date '2000-01-01'",
    "author = 'a :name ? %s'",
    "true;",
]


@pytest.mark.parametrize("text", ALLOWED)
def test_conditions_that_the_database_takes(text, store):
    condition = parse_condition(text)
    found = store.fetch(f"SELECT count(*) FROM documents WHERE {condition.sql}".replace(":name", "\\:name"))
    assert found.num_rows == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("orign = 'human'", "did you mean 'origin'?"),
        ("documents.orign = 'a'", "did you mean 'origin'?"),
        ("other.origin = 'human'", "no column of the documents view"),
        ("metadata.lang = 'x'", "metadata->>'lang'"),
        ("origin = 'humn'", "did you mean 'human'?"),
        ("'humn' = origin", "did you mean 'human'?"),
        ("(origin) <> 'humn'", "did you mean 'human'?"),
        ("origin in ('human', 'synthtic')", "did you mean 'synthetic'?"),
        ("origin is not distinct from 'humn'", "did you mean 'human'?"),
        ("case origin when 'humn' then true else false end", "did you mean 'human'?"),
        ("evidence_grade = 'datd'", "did you mean 'dated'?"),
        ("licence_class = 'permisive'", "did you mean 'permissive'?"),
        ("evidence_grade >= 'dated'", "compare evidence_rank"),
        ("evidence_grade between 'none' and 'dated'", "compare evidence_rank"),
        ("n_words > (select avg(n_words) from documents)", "subquery"),
        ("exists(select 1)", "subquery"),
        ("select true", "subquery"),
        ("origin in (select origin from documents)", "subquery"),
        ("count(*) > 1", "aggregate"),
        ("row_number() over () > 1", "aggregate or window"),
        ("random() < 0.5", "not allowed"),
        ("uuid() = document_id", "not allowed"),
        ("now() > authored_at", "no function allowed here"),
        ("current_date > authored_at", "not allowed"),
        ("today() > authored_at", "not allowed"),
        ("age(authored_at) > interval 3 year", "no function allowed here"),
        ("read_text('/etc/passwd') = 'x'", "no function allowed here"),
        ("getvariable('x') = 1", "no function allowed here"),
        ("lowr(title) = 'a'", "did you mean 'lower'?"),
        ("cast(title as timestamptz) > authored_at", "cast to TIMESTAMPTZ"),
        ("origin = 'human'; drop table document", "more than one statement"),
        ("origin = $1", "parameter"),
        ("origin = ?", "parameter"),
        ("origin = 'human", "cannot be parsed"),
        ("n_words >= 20 and", "cannot be parsed"),
        ("(" * 3000 + "true" + ")" * 3000, "nested too deeply"),
        ("origin = 'human' or " * 9000 + "true", "characters"),
    ],
)
def test_what_is_refused(text, problem):
    with pytest.raises(ConditionError) as caught:
        parse_condition(text)
    assert problem in str(caught.value)


def test_comments_do_not_survive():
    assert parse_condition("origin = 'human' -- and more").sql == "(\"origin\" = 'human')"


def test_columns_are_listed():
    assert parse_condition("ORIGIN = 'human' and length(title) > 3").columns == {"origin", "title"}
