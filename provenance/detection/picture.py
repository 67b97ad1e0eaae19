"""A detector's report as a picture: ROC curve on a logarithmic scale, and how well its probabilities hold."""

from __future__ import annotations

from itertools import pairwise
from math import log10
from typing import Any

from provenance import svg

_SIDE, _LEFT, _TOP, _GAP = 300, 70, 70, 90
_WIDTH, _HEIGHT = 2 * _SIDE + _GAP + _LEFT + 30, _SIDE + _TOP + 60
#: A wider title is cut.
_TITLE_LETTERS = 76
#: Rates below this are drawn at the edge.
_LEAST = 1e-4
_INK, _FAINT, _LINE, _MARK = "#222222", "#d0d0d0", "#1f5fa8", "#b3261e"


def draw_report(name: str, version: str, report: dict[str, Any]) -> str:
    """Return an SVG picture of what training reported."""
    parts = (
        svg.tag("rect", width=_WIDTH, height=_HEIGHT, fill="white"),
        svg.text(_LEFT, 24, svg.cut(f"Detector {name}@{version}", _TITLE_LETTERS), font_size=16),
        svg.text(_LEFT, 44, _caption(report)),
        *_curve(report),
        *_bins(report),
    )
    return svg.page(_WIDTH, _HEIGHT, parts, font_family="sans-serif", font_size=12, fill=_INK)


def _caption(report: dict[str, Any]) -> str:
    trained, point = report["trained_on"], report["operating"]
    return (
        f"{trained['n_human']:,} human and {trained['n_synthetic']:,} synthetic texts, "
        f"{report['settings']['n_folds']}-fold: AUC {report['auc']:.4f}, at the threshold FPR {point['fpr']:.2%} "
        f"({point['fpr_low']:.2%} to {point['fpr_high']:.2%}), TPR {point['tpr']:.1%}"
    )


def _curve(report: dict[str, Any]) -> list[str]:
    points = [(_across(fpr), _up(tpr)) for fpr, tpr, _ in report["roc"]]
    # Between two points the lower rate is all that is reached: first to the right, then up.
    steps = [points[0]] + [p for (_, y), (x2, y2) in pairwise(points) for p in ((x2, y), (x2, y2))]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in steps)
    point = report["operating"]
    x, y = _across(point["fpr"]), _up(point["tpr"])
    ticks = [_tick_x(_across(rate), label) for rate, label in zip((1e-4, 1e-3, 1e-2, 0.1, 1), _RATES, strict=True)]
    cross = {"stroke": _MARK, "stroke_width": 2}
    return [
        *_frame(_LEFT, "false positives: share of human texts flagged", "share of synthetic texts flagged"),
        *ticks,
        svg.tag("polyline", points=path, fill="none", stroke=_LINE, stroke_width=2),
        svg.tag("line", x1=_across(point["fpr_low"]), x2=_across(point["fpr_high"]), y1=y, y2=y, **cross),
        svg.tag("line", x1=x, x2=x, y1=_up(point["tpr_low"]), y2=_up(point["tpr_high"]), **cross),
        svg.tag("circle", cx=x, cy=y, r=4, fill=_MARK),
    ]


_RATES = ("0.01 %", "0.1 %", "1 %", "10 %", "100 %")


def _bins(report: dict[str, Any]) -> list[str]:
    left = _LEFT + _SIDE + _GAP
    bins = report["calibration"]["bins"]
    most = max(one["n"] for one in bins)
    dots = [
        svg.tag(
            "circle",
            svg.title(f"{one['n']:,} texts"),
            cx=left + _SIDE * one["mean_probability"],
            cy=_up(one["synthetic_share"]),
            r=3 + 6 * (one["n"] / most) ** 0.5,
            fill=_LINE,
            fill_opacity=0.7,
        )
        for one in bins
    ]
    frame = _frame(left, "probability given", "share that is synthetic")
    ticks = [_tick_x(left + _SIDE * share, f"{share:.1f}") for share in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    diagonal = svg.tag("line", x1=left, y1=_up(0), x2=left + _SIDE, y2=_up(1), stroke=_FAINT, stroke_width=2)
    brier = svg.text(left + 10, _TOP + 20, f"Brier score {report['calibration']['brier']:.4f}")
    return [*frame, *ticks, diagonal, *dots, brier]


def _frame(left: float, across: str, up: str) -> list[str]:
    middle = _TOP + _SIDE / 2
    lines = [
        svg.tag("line", x1=left, x2=left + _SIDE, y1=_up(share), y2=_up(share), stroke=_FAINT)
        + svg.text(left - 8, _up(share) + 4, f"{share:.0%}", text_anchor="end")
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    turned = f"rotate(-90 {left - 52} {middle})"
    return [
        *lines,
        svg.tag("rect", x=left, y=_TOP, width=_SIDE, height=_SIDE, fill="none", stroke=_INK),
        svg.text(left + _SIDE / 2, _TOP + _SIDE + 42, across, text_anchor="middle"),
        svg.text(left - 52, middle, up, text_anchor="middle", transform=turned),
    ]


def _tick_x(x: float, label: str) -> str:
    return svg.text(x, _TOP + _SIDE + 20, label, text_anchor="middle")


def _across(rate: float) -> float:
    return _LEFT + _SIDE * (1 + log10(max(rate, _LEAST)) / -log10(_LEAST))


def _up(share: float) -> float:
    return _TOP + _SIDE * (1 - share)
