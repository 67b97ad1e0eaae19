"""Commands about detectors: train, list, show, run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from provenance.cli.app import Json, app, shared
from provenance.cli.output import percent, print_json, print_table, say, say_progress

detector_app = typer.Typer(
    help="Programs that say of a text whether a model wrote it.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(detector_app, name="detector")


@detector_app.command("train")
def train(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the detector; its versions are numbered.")],
    min_rank: Annotated[
        int, typer.Option("--min-rank", min=1, max=5, help="Least rank of the evidence for the texts' origin.")
    ] = 1,
    fpr: Annotated[
        float, typer.Option("--fpr", min=0.0001, max=0.5, help="Wanted share of human texts that are flagged.")
    ] = 0.01,
    n: Annotated[int, typer.Option("--n", min=50, help="Most texts of each kind.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which texts are drawn.")] = 0,
    as_json: Json = False,
) -> None:
    """Train the built-in detector on documents of known origin, human against synthetic."""
    from provenance.detection.train import train_detector

    with shared(context).open(writable=True) as store:
        made = train_detector(store, name, n=n, min_rank=min_rank, fpr=fpr, seed=seed)
    if as_json:
        print_json({"name": made.name, "version": made.version, "digest": made.digest, "is_new": made.is_new,
                    **made.report})  # fmt: skip
        return
    _print_report(made.name, made.version, made.digest, made.report)
    if not made.is_new:
        say(f"{made.name}@{made.version} is in the store already, and the same: nothing was changed.")
    say(f"Flag what it takes for a model's with: provenance detector run {made.name}@{made.version}")


@detector_app.command("list")
def list_all(context: typer.Context, as_json: Json = False) -> None:
    """List the detectors of the store and what they did."""
    from provenance.detection.stored import list_detectors

    with shared(context).open() as store, store.read() as connection:
        found = list_detectors(connection)
    if as_json:
        print_json(found)
        return
    columns = ("detector", "version", "kind", "AUC", "FPR", "TPR", "threshold", "texts scored", "documents flagged")
    rows = [
        (one["name"], one["version"], one["kind"], one["auc"], percent(one["fpr"]), percent(one["tpr"]),
         one["threshold"], one["n_scored"], one["n_claimed"])
        for one in found
    ]  # fmt: skip
    print_table(columns, rows)


@detector_app.command("show")
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="NAME (its newest version) or NAME@VERSION.")],
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw ROC curve and calibration into this SVG file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how good a detector is: ROC curve, rates at its threshold, calibration, false positives by source."""
    from provenance.detection.errors import DetectorHasNoReport
    from provenance.detection.picture import draw_report
    from provenance.detection.stored import find, report_of

    with shared(context).open() as store, store.read() as connection:
        row = find(connection, name)
    report = report_of(row)
    if plot is not None:
        if "roc" not in report:
            raise DetectorHasNoReport(row.name, row.version)
        plot.write_text(draw_report(row.name, row.version, report), encoding="utf-8")
    if as_json:
        print_json({"name": row.name, "version": row.version, "digest": row.digest, "threshold": row.threshold,
                    "created_at": row.created_at, **report})  # fmt: skip
    elif "roc" in report:
        _print_report(row.name, row.version, row.digest, report)
    else:
        print_table(("", ""), [("detector", f"{row.name}@{row.version}"), ("plug-in", report["plugin"]),
                               ("threshold", row.threshold)])  # fmt: skip


@detector_app.command("run")
def run(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="NAME (its newest version) or NAME@VERSION of the store.", show_default=False)
    ] = None,
    plugin: Annotated[
        str | None,
        typer.Option(
            "--plugin", help="module:attribute on the Python path, or an entry point of provenance.detectors."
        ),
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only documents of this source.")] = None,
    max_failures: Annotated[
        int, typer.Option("--max-failures", min=0, help="Stop when the detector fails on more texts.")
    ] = 100,
    as_json: Json = False,
) -> None:
    """Score documents, and claim that a model wrote those at or above the threshold.

    A detector never makes a document human: below the threshold it claims nothing.
    """
    from provenance.detection.errors import DetectorFailed
    from provenance.detection.plugins import load_plugin
    from provenance.detection.run import run_detector, stored_detector

    if (name is None) == (plugin is None):
        raise typer.BadParameter("give either the name of a stored detector or --plugin.")
    chosen = load_plugin(plugin) if plugin is not None else None
    with shared(context).open(writable=True) as store:
        detector = chosen or stored_detector(store, str(name))
        try:
            report = asdict(
                run_detector(
                    store, detector, plugin=plugin, source=source, max_failures=max_failures, progress=say_progress
                )
            )
        except DetectorFailed as error:
            _print_run(error.report, as_json=as_json)
            raise
    _print_run(report, as_json=as_json)


def _print_run(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    for document, reason in list(report["failures"].items())[:20]:
        say(f"no score for document {document}: {reason}")
    say(f"{report['detector']}: {report['n_scored']:,} texts scored ({report['n_scored_before']:,} had a score)")
    say(f"{report['n_flagged']:,} documents claimed to be synthetic, {report['n_human_flagged']:,} of which were human")
    if report["n_kept"]:
        say(f"{report['n_kept']:,} of these stay human, on evidence of a higher grade")


def _print_report(name: str, version: str, digest: str, report: dict[str, Any]) -> None:
    trained, point, settings = report["trained_on"], report["operating"], report["settings"]
    print_table(
        (f"{name}@{version}", ""),
        [
            ("digest", digest),
            ("human texts", f"{trained['n_human']:,} of {trained['n_human_available']:,}"),
            ("synthetic texts", f"{trained['n_synthetic']:,} of {trained['n_synthetic_available']:,}"),
            ("evidence of rank", f"{settings['min_rank']} or more"),
            ("cross-validation", f"{settings['n_folds']} folds, no cluster in two of them"),
            ("area under the ROC curve", f"{report['auc']:.4f}"),
            ("threshold", f"{report['threshold']:.4g}, for {percent(settings['fpr'])} of human texts"),
            ("false-positive rate there", _rate(point, "fpr", "n_false_positive", "n_human")),
            ("true-positive rate there", _rate(point, "tpr", "n_true_positive", "n_synthetic")),
            ("Brier score", f"{report['calibration']['brier']:.4f}"),
        ],
    )
    bins = report["calibration"]["bins"]
    print_table(
        ("probability given", "texts", "mean", "share that is synthetic"),
        [(f"{one['from']:.1f} to {one['to']:.1f}", one["n"], f"{one['mean_probability']:.3f}",
          percent(one["synthetic_share"])) for one in bins],
        title="Calibration",
    )  # fmt: skip
    print_table(
        ("source", "human texts", "flagged", "rate", "95 % interval"),
        [(one["source"], one["n_human"], one["n_false_positive"], percent(one["fpr"]),
          f"{percent(one['fpr_low'])} to {percent(one['fpr_high'])}") for one in report["sources"]],
        title="False positives by source",
    )  # fmt: skip


def _rate(point: dict[str, Any], rate: str, k: str, n: str) -> str:
    low, high = percent(point[f"{rate}_low"]), percent(point[f"{rate}_high"])
    return f"{percent(point[rate])} ({point[k]:,} of {point[n]:,}; 95 %: {low} to {high})"
