"""Figures of what was tried: what was taken, and faintly what was not."""

from __future__ import annotations

from compress.report.charts.style import Absent, Chart, color, drawing, finish
from compress.report.schema import Report


def trials(report: Report) -> list[Chart | Absent]:
    """Draw the score of each trial against its cost, a figure for each network or model with several costs."""
    if not report.trials:
        return [Absent("trials", "no stage of this run tries several ways and takes the best")]
    drawn = [name for name, tried in report.trials.items() if len({trial.cost for trial in tried}) > 1]
    return [_trials(report, name) for name in drawn] or [Absent("trials", "all that was tried costs the same")]


def _trials(report: Report, network: str) -> Chart:
    shown = {"tried": (False, "muted", 0.5), "taken": (True, "blue", 1.0)}
    with drawing() as (figure, axes):
        for label, (taken, shade, alpha) in shown.items():
            points = [trial for trial in report.trials[network] if trial.taken == taken]
            xs, ys = [trial.cost for trial in points], [trial.score for trial in points]
            axes.plot(xs, ys, color=color(shade), alpha=alpha, marker="o", linestyle="none", label=label)
        finish(axes, "cost", "score")
    caption = f"{network}: what was tried; up and to the left is better. What was taken is in colour."
    return Chart(f"trials_{network}", caption, figure)
