"""SQL conditions over the documents view and attributes: parsed, checked against what is allowed, and written anew.

What is executed is the text that sqlglot writes from the checked tree, never the text that came in. Everything that
is not known to be a pure function of one document is refused: subqueries, aggregates, windows, random numbers, the
clock, files, variables. An attribute's name stands for the document's value of it, NULL where it has none; it is
written as a subquery of our own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from provenance.licences import LICENCE_CLASSES
from provenance.mix.errors import ConditionError, unknown_word
from provenance.records import GRADES, ORIGINS
from provenance.store.views import VIEW_COLUMNS

#: Longest condition in characters; beyond it somebody means a join with a table of their own.
_LONGEST = 100_000

_STRUCTURE = (
    exp.And, exp.Or, exp.Not, exp.Paren, exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Case,
    exp.If, exp.In, exp.Between, exp.Is, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.DPipe,
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Like, exp.ILike, exp.Glob,
    exp.SimilarTo, exp.Escape, exp.Cast, exp.TryCast, exp.DataType, exp.Interval, exp.Var, exp.JSONExtract,
    exp.JSONExtractScalar, exp.JSONPath, exp.JSONPathKey, exp.JSONPathRoot, exp.JSONPathSubscript,
)  # fmt: skip
_FUNCTIONS = (
    exp.Abs, exp.Ceil, exp.Coalesce, exp.Contains, exp.Day, exp.Extract, exp.Floor, exp.Greatest, exp.Least,
    exp.Length, exp.Lower, exp.Month, exp.Nullif, exp.Quarter, exp.RegexpLike, exp.Replace, exp.Round,
    exp.StartsWith, exp.StrPosition, exp.Substring, exp.TimestampTrunc, exp.TimeToStr, exp.Trim, exp.Upper, exp.Year,
)  # fmt: skip
_NAMED = ("date_part", "decade", "century", "strlen", "prefix", "suffix", "ends_with")
_TYPES = frozenset(
    "BOOLEAN TINYINT SMALLINT INT BIGINT UTINYINT USMALLINT UINT UBIGINT FLOAT DOUBLE DECIMAL TEXT VARCHAR DATE "
    "TIMESTAMP TIMESTAMPNTZ INTERVAL UUID".split()
)
_ORDERS = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.Greatest, exp.Least)
_EQUALITIES = (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ)

#: The view whose columns are the attributes: `attributes.quality` is the same as `quality`.
_ATTRIBUTES = "attributes"
#: Names and kinds of the attributes that a condition may name, in the order of their names.
Attributes = tuple[tuple[str, str], ...]

#: Columns that hold one of a few words: a comparison with another word is a mistake, not an empty result.
_WORDS = {"origin": ORIGINS, "evidence_grade": GRADES, "licence_class": LICENCE_CLASSES}


@dataclass(frozen=True)
class Condition:
    """A checked condition.

    Attributes
    ----------
    text : as it was given
    sql : as it is executed: an expression in parentheses over the columns of the documents view
    columns : the columns that it reads
    attributes : the attributes that it reads
    """

    text: str
    sql: str
    columns: frozenset[str]
    attributes: frozenset[str] = frozenset()


@lru_cache(maxsize=256)
def parse_condition(text: str, attributes: Attributes = ()) -> Condition:
    """Return the checked form of a condition.

    Parameters
    ----------
    attributes : what may be named beside the columns of the documents view

    Raises
    ------
    ConditionError
        If it is not one condition, names an unknown column, attribute, function or word, orders by `evidence_grade`,
        or may depend on anything but the document.
    """
    tree = _parsed(text)
    named: list[exp.Column] = []
    for node in tree.walk():
        problem = _column_problem(node, attributes) if isinstance(node, exp.Column) else _problem(node)
        if problem:
            raise ConditionError(text, problem)
        if isinstance(node, exp.Column):
            named.append(node)
    kinds = {id(node): _attribute_kind(node, attributes) for node in named}
    tree = tree.transform(lambda node: _written(node, kinds.get(id(node))), copy=False)
    sql = tree.sql("duckdb", identify=True, comments=False)
    return Condition(
        text,
        f"({sql})",
        frozenset(_column_name(node) for node in named if kinds[id(node)] is None),
        frozenset(_column_name(node) for node in named if kinds[id(node)] is not None),
    )


def _parsed(text: str) -> exp.Expr:
    """Return the one expression that a text is."""
    if len(text) > _LONGEST:
        raise ConditionError(text[:60] + "...", f"it has {len(text)} characters, at most {_LONGEST} are taken")
    try:
        trees = sqlglot.parse(text, dialect="duckdb")
    except SqlglotError as error:
        raise ConditionError(text, f"it cannot be parsed ({_first_line(error)})") from error
    except RecursionError as error:
        raise ConditionError(text[:60] + "...", "it is nested too deeply") from error
    if len(trees) != 1 or trees[0] is None:
        raise ConditionError(text, "it is empty" if not any(trees) else "it is more than one statement")
    tree = trees[0]
    if not isinstance(tree, exp.Expression):
        raise ConditionError(text, "it is no expression")
    return tree


def attribute_sql(name: str, kind: str) -> str:
    """Return the SQL of a document's value of an attribute, wherever `document_id` is a column."""
    return _value_of(name, kind).sql("duckdb", identify=True)


def _written(node: exp.Expr, kind: str | None) -> exp.Expr:
    if not isinstance(node, exp.Column):
        return node
    name = _column_name(node)
    return exp.column(name) if kind is None else _value_of(name, kind)


def _value_of(name: str, kind: str) -> exp.Expr:
    # The inner names are such that `document_id` can only be that of the query around it.
    given = exp.select(exp.column("document_id").as_("annotated"), exp.column(kind).as_("given"))
    given = given.from_("annotation").where(exp.column("attribute").eq(exp.Literal.string(name)))
    same = exp.column("annotated").eq(exp.column("document_id"))
    return exp.select("given").from_(given.subquery("values_given")).where(same).subquery()


def _attribute_kind(node: exp.Column, attributes: Attributes) -> str | None:
    """Return the kind of the attribute that a checked column stands for, or None for a column of the view."""
    name = _column_name(node)
    if not node.table and name in VIEW_COLUMNS["documents"]:
        return None
    return dict(attributes).get(name) if node.table.lower() in ("", _ATTRIBUTES) else None


def _problem(node: exp.Expr) -> str | None:
    """Return what is wrong with one node of the tree, or None."""
    if isinstance(node, exp.Query | exp.Subquery | exp.Exists):
        return "it has a subquery"
    if isinstance(node, exp.AggFunc | exp.Window | exp.Star):
        return f"it has the aggregate or window {node.sql('duckdb')}: a condition sees one document"
    if isinstance(node, exp.Placeholder | exp.Parameter):
        return f"it has the parameter {node.sql('duckdb')}"
    if isinstance(node, exp.Anonymous):
        name = str(node.this).lower()
        return None if name in _NAMED else unknown_word("function allowed here", name, _function_names())
    if not isinstance(node, _STRUCTURE + _FUNCTIONS):
        return f"{node.sql('duckdb')!r} is not allowed here: only pure functions of one document are"
    if isinstance(node, exp.DataType):
        kind = node.this.value if isinstance(node.this, exp.DType) else str(node.this)
        return None if kind in _TYPES else f"a cast to {kind} is not allowed here"
    if isinstance(node, _ORDERS) and any(_is_column(side, "evidence_grade") for side in _operands(node)):
        return "evidence_grade is text and has no order: compare evidence_rank (0 none to 5 curated)"
    return _word_problem(node)


def _column_problem(node: exp.Column, attributes: Attributes) -> str | None:
    name, columns = _column_name(node), VIEW_COLUMNS["documents"]
    annotated = [attribute for attribute, _ in attributes]
    qualifier = ".".join(part.name for part in node.parts[:-1]).lower()
    if qualifier == "metadata":
        return f"fields of metadata are read as metadata->>'{node.name}'"
    if qualifier not in ("", "documents", _ATTRIBUTES):
        return f"{qualifier}.{name} is no column of the documents view"
    known = {"documents": columns, _ATTRIBUTES: annotated}.get(qualifier, (*columns, *annotated))
    if name in known:
        return None
    what = {"documents": "column of the documents view", _ATTRIBUTES: "attribute"}
    return unknown_word(what.get(qualifier, "column of the documents view and no attribute"), name, known)


def _word_problem(node: exp.Expr) -> str | None:
    """Return which literal is compared with a column of fixed words but is none of them."""
    for column, words in _WORDS.items():
        if not any(_is_column(side, column) for side in _operands(node)):
            continue
        for side in _operands(node):
            if isinstance(side, exp.Literal) and side.is_string and side.name not in words:
                return unknown_word(column.replace("_", " "), side.name, words)
    return None


def _operands(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield what a comparison compares, without parentheses."""
    if isinstance(node, _EQUALITIES):
        sides = [node.this, node.expression]
    elif isinstance(node, exp.In):
        sides = [node.this, *node.expressions]
    elif isinstance(node, exp.Case) and node.this is not None:
        sides = [node.this, *(branch.this for branch in node.args["ifs"])]
    elif isinstance(node, _ORDERS):
        sides = list(node.iter_expressions())
    else:
        sides = []
    for side in sides:
        yield side.unnest()


def _is_column(node: exp.Expr, name: str) -> bool:
    return isinstance(node, exp.Column) and _column_name(node) == name


def _column_name(node: exp.Column) -> str:
    return str(node.name).lower()


def _function_names() -> list[str]:
    return sorted({*_NAMED, *(name.lower() for kind in _FUNCTIONS for name in kind.sql_names())})


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(". ")
