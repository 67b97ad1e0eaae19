"""Printing what an ingest would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provenance.cli.output import cell, print_json, print_table
from provenance.visible import one_line

if TYPE_CHECKING:
    from provenance.ingest.preview import Preview

#: Values of a record that many lines would not explain better.
_LEFT_OUT = ("file", "place")


def print_preview(preview: Preview, *, as_json: bool = False) -> None:
    """Print a preview on standard output, then raise what ended the reading before its time, if something did."""
    if as_json:
        print_json(preview.as_json())
    else:
        _print_counts(preview)
        _print_fields(preview)
        _print_reasons(preview)
        for number, record in enumerate(preview.records, start=1):
            _print_record(number, record)
        for warning in preview.warnings:
            print(f"\nWarning: {warning}")
    if preview.error is not None:
        raise preview.error


def _print_counts(preview: Preview) -> None:
    new = " (new)" if preview.is_new_source else ""
    print(
        f"{preview.source}{new}: {preview.n_read:,} records read = {preview.n_valid:,} valid + "
        f"{preview.n_quarantined:,} that would be quarantined. Nothing was written."
    )
    if not preview.is_whole:
        left = f"; {preview.n_files_left:,} inputs were not opened" if preview.n_files_left else ""
        print(f"These are the first records only{left}.")
    print_table(
        ["input", "format", "read", "quarantined", "whole"],
        [(one.file, one.format, one.n_read, one.n_quarantined, one.is_whole) for one in preview.files],
    )


def _print_fields(preview: Preview) -> None:
    rows = [(field, column) for field, column in preview.columns.items()]
    rows += [(field, "metadata") for field in preview.metadata_fields]
    rows += [(field, f"{column} (in none of these records)") for field, column in preview.absent.items()]
    print_table(["field", "becomes"], rows)


def _print_reasons(preview: Preview) -> None:
    if preview.reasons:
        rows = [
            (reason, one.n_records, f"{one.file}, {one.place}", one.detail) for reason, one in preview.reasons.items()
        ]
        print_table(["quarantined", "records", "first", "detail"], rows)


def _print_record(number: int, record: dict[str, Any]) -> None:
    from provenance.ingest.preview import shortened

    print(f"\nRecord {number}: {record['file']}, {record['place']}")
    values = {name: value for name, value in record.items() if name not in _LEFT_OUT and value is not None}
    width = max(map(len, values))
    for name, value in values.items():
        print(f"  {name:<{width}}  {one_line(shortened(cell(value)))}")
