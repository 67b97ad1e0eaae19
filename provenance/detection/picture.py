"""A detector's report as a picture: ROC curve on a logarithmic scale, and how well its probabilities hold."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from math import log10
from typing import Any

_SIDE, _LEFT, _TOP, _GAP = 300, 70, 70, 90
_WIDTH, _HEIGHT = 2 * _SIDE + _GAP + _LEFT + 30, _SIDE + _TOP + 60
#: Rates below this are drawn at the edge.
_LEAST = 1e-4
_INK, _FAINT, _LINE, _MARK = "#222222", "#d0d0d0", "#1f5fa8", "#b3261e"


def draw_report(name: str, version: str, report: dict[str, Any]) -> str:
    """Return an SVG picture of what training reported."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="12" fill="{_INK}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 24, f"Detector {name}@{version}", size=16),
        _text(_LEFT, 44, _caption(report)),
        *_curve(report),
        *_bins(report),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _caption(report: dict[str, Any]) -> str:
    trained, point = report["trained_on"], report["operating"]
    return (
        f"{trained['n_human']:,} human and {trained['n_synthetic']:,} synthetic texts, "
        f"{report['settings']['n_folds']}-fold: AUC {report['auc']:.4f}, at the threshold FPR {point['fpr']:.2%} "
        f"({point['fpr_low']:.2%} to {point['fpr_high']:.2%}), TPR {point['tpr']:.1%}"
    )


def _curve(report: dict[str, Any]) -> list[str]:
    points = [(_across(fpr), _up(tpr)) for fpr, tpr, _ in report["roc"]]
    # A step rises before it goes on to the right.
    steps = [points[0]] + [p for (_, y), (x2, y2) in pairwise(points) for p in ((x2, y), (x2, y2))]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in steps)
    point = report["operating"]
    x, y = _across(point["fpr"]), _up(point["tpr"])
    ticks = [_tick_x(_across(rate), label) for rate, label in zip((1e-4, 1e-3, 1e-2, 0.1, 1), _RATES, strict=True)]
    return [
        *_frame(_LEFT, "false positives: share of human texts flagged", "share of synthetic texts flagged"),
        *ticks,
        f'<polyline points="{path}" fill="none" stroke="{_LINE}" stroke-width="2"/>',
        f'<line x1="{_across(point["fpr_low"]):.1f}" x2="{_across(point["fpr_high"]):.1f}" y1="{y:.1f}" y2="{y:.1f}" '
        f'stroke="{_MARK}" stroke-width="2"/>',
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_up(point["tpr_low"]):.1f}" y2="{_up(point["tpr_high"]):.1f}" '
        f'stroke="{_MARK}" stroke-width="2"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_MARK}"/>',
    ]


_RATES = ("0.01 %", "0.1 %", "1 %", "10 %", "100 %")


def _bins(report: dict[str, Any]) -> list[str]:
    left = _LEFT + _SIDE + _GAP
    bins = report["calibration"]["bins"]
    most = max(one["n"] for one in bins)
    dots = [
        f'<circle cx="{left + _SIDE * one["mean_probability"]:.1f}" cy="{_up(one["synthetic_share"]):.1f}" '
        f'r="{3 + 6 * (one["n"] / most) ** 0.5:.1f}" fill="{_LINE}" fill-opacity="0.7">'
        f"<title>{one['n']:,} texts</title></circle>"
        for one in bins
    ]
    frame = _frame(left, "probability given", "share that is synthetic")
    ticks = [_tick_x(left + _SIDE * share, f"{share:.1f}") for share in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    diagonal = f'<line x1="{left}" y1="{_up(0)}" x2="{left + _SIDE}" y2="{_up(1)}" stroke="{_FAINT}" stroke-width="2"/>'
    brier = _text(left + 10, _TOP + 20, f"Brier score {report['calibration']['brier']:.4f}")
    return [*frame, *ticks, diagonal, *dots, brier]


def _frame(left: float, across: str, up: str) -> list[str]:
    middle = _TOP + _SIDE / 2
    lines = [
        f'<line x1="{left}" x2="{left + _SIDE}" y1="{_up(share)}" y2="{_up(share)}" stroke="{_FAINT}"/>'
        + _text(left - 8, _up(share) + 4, f"{share:.0%}", anchor="end")
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    return [
        *lines,
        f'<rect x="{left}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="{_INK}"/>',
        _text(left + _SIDE / 2, _TOP + _SIDE + 42, across, anchor="middle"),
        f'<text x="{left - 52}" y="{middle}" text-anchor="middle" transform="rotate(-90 {left - 52} {middle})">'
        f"{escape(up)}</text>",
    ]


def _tick_x(x: float, label: str) -> str:
    return _text(x, _TOP + _SIDE + 20, label, anchor="middle")


def _across(rate: float) -> float:
    return _LEFT + _SIDE * (1 + log10(max(rate, _LEAST)) / -log10(_LEAST))


def _up(share: float) -> float:
    return _TOP + _SIDE * (1 - share)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
