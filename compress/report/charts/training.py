"""Figures of how networks were trained, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from compress.report.charts.accuracy import PERCENT
from compress.report.charts.style import Absent, Chart, color, drawing, finish
from compress.report.making import Training
from compress.report.schema import Report


def training(report: Report, network: str) -> Chart | Absent:
    """Draw the validation accuracy and the losses of a network, through all its trainings."""
    trainings = [each for each in report.training.get(network, ()) if each.history]
    if not trainings:
        return Absent(f"training_{network}", f"{network} was not trained in this run: its weights were given")
    return curves(network, trainings, balanced=report.balance.method != "none")


def curves(network: str, trainings: Sequence[Training], balanced: bool) -> Chart:
    """Draw trainings that follow each other; where classes are `balanced`, mean recall in place of accuracy."""
    rows = [row for each in trainings for row in each.history]
    scores = [(row.validation_recall if balanced else row.validation_accuracy) or 0.0 for row in rows]
    epochs = range(1, len(rows) + 1)
    with drawing() as (figure, axes):
        axes.remove()
        upper, lower = figure.subplots(2, 1, sharex=True)
        score = "mean recall" if balanced else "accuracy"
        upper.plot(epochs, scores, color=color("blue"), label=f"validation {score}")
        upper.yaxis.set_major_formatter(PERCENT)
        upper.set_ylim(top=min(1.02, upper.get_ylim()[1]))
        lower.plot(epochs, [row.loss for row in rows], color=color("vermilion"), label="training loss")
        cross_entropy = [row.validation_cross_entropy for row in rows]
        lower.plot(epochs, cross_entropy, color=color("green"), linestyle="--", label="validation cross-entropy")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        begin, label = 0, "kept"
        for each in trainings:
            if each.kept:
                place = begin + each.kept
                style = {"color": color("blue"), "marker": "D", "linestyle": "none", "clip_on": False}
                upper.plot(place, scores[place - 1], label=label, **style)
                label = ""
            begin += len(each.history)
            for axis in (upper, lower) if each is not trainings[-1] else ():
                axis.axvline(begin + 0.5, color=color("muted"), linewidth=0.8, linestyle=":")
        finish(upper, "", score)
        finish(lower, "epoch", "loss")
    caption = (
        f"{network}: validation above; below, the loss on the training images, augmented as they are, and validation."
    )
    if len(trainings) > 1:
        caption += f" Dotted lines part its trainings: {', '.join(each.name for each in trainings)}."
    return Chart(f"training_{network}", caption, figure)
