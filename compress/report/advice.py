"""What would help most where a run fell short: lines made from the measured facts in its report.

Lines that lead to another training rest on the validation split; of the test split they tell how much it shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from compress.metrics.training import still_rose
from compress.plural import counted
from compress.report.kernels import why_slower
from compress.report.making import Training
from compress.report.schema import Metrics, Model, Report

CHANCE = 0.05  # p-value below which a difference is none of chance
Z = 1.96  # standard errors, likewise
SLOWER = 1.03  # times as slow: copies of one file that took turns under load differed by 1.02
VAGUE = 0.1  # of a recall: half its interval, from which on it says little
ABOVE = 0.01  # by which validation is above test: less does not matter
MISTAKES = 23  # halving fewer could not be told from chance: (m - m / 2) / sqrt(m + m / 2) is 1.96 for 23
ONLY = "training"  # the name of a stage's training if it has one, and of the one after a teacher's phases


def advice(report: Report) -> tuple[str, ...]:
    """Return a line for each thing that would probably have helped, with the setting for it; none if all went well."""
    made = (_guesses, _behind_student, _too_short, _worse_in_int8, _slower_in_int8, _few_images, _above_test)
    return tuple(line for each in made for line in each(report))


def _guesses(report: Report) -> Iterator[str]:
    """Yield a line if the teacher may be no better than an answer that looks at no image.

    That is the largest class for accuracy and, where classes are balanced, any class for mean recall.
    """
    scores = report.teacher.validation
    if report.balance.method == "none":
        what, score, (low, _) = "accuracy", scores.accuracy, scores.accuracy_ci95
        guessed = max(row.n for row in scores.classes.values()) / scores.n
    else:
        what, score, (low, _) = "mean recall", scores.recall, scores.recall_ci95
        guessed = 1 / len(report.run.classes)
    if low <= guessed:
        yield (
            f"the teacher is hardly better than guessing: validation {what} {score:.4f}, and {guessed:.4f} by always "
            "naming the same class: more epochs, another learning_rate or teacher.weights, or a larger image.size, may "
            "help"
        )


def _behind_student(report: Report) -> Iterator[str]:
    """Yield a line if the best network made from the teacher is better than it, by more than chance."""
    teacher = report.teacher
    better = [model for model in _networks(report) if _differs(model) > 0 and not _is_behind(report, model.validation)]
    for model in sorted(better, key=lambda model: -model.validation.accuracy)[:1]:
        yield (
            f"{model.id} is better than its teacher: validation accuracy {model.validation.accuracy:.4f} against "
            f"{teacher.validation.accuracy:.4f}, by more than chance: the teacher has more to learn, so that "
            f"{_longer(teacher.stage, _trainings(report, teacher))} or teacher.weights may help"
        )


def _too_short(report: Report) -> Iterator[str]:
    """Yield a line for each training that took all its epochs and still got better, if its result falls short.

    The teacher's falls short if it makes mistakes, that of a network made from it if it makes more than the teacher.
    """
    balanced = report.balance.method != "none"
    for model in (report.teacher, *(model for model in _networks(report) if _differs(model) < 0)):
        for training in _trainings(report, model):
            if model is not report.teacher and training.name != ONLY:  # whose length is another setting
                continue
            epochs = training.history
            if not epochs or len(epochs) != training.limit or _mistakes(training, model.validation.n) < MISTAKES:
                continue
            scores = [row.validation_recall if balanced else row.validation_accuracy for row in epochs]
            if still_rose([score or 0.0 for score in scores], [row.learning_rate for row in epochs]):
                name = model.stage if training.name == ONLY else f"{model.stage}, {training.name}"
                yield (
                    f"{name}: validation {'mean recall' if balanced else 'accuracy'} still rose when the "
                    f"{training.limit} epochs were over: {_longer(model.stage, (training,))} may help"
                )


def _worse_in_int8(report: Report) -> Iterator[str]:
    """Yield a line for each network that clearly loses accuracy by int8, if that was not bounded."""
    for fp32, int8 in _in_both(report):
        lost = fp32.validation.accuracy - int8.validation.accuracy
        if lost > max(ABOVE, _chance(fp32.validation, int8.validation)) and "quantize.max_drop" not in report.settings:
            yield (
                f"{int8.id} loses {100 * lost:.1f} points of validation accuracy against fp32: quantize.max_drop = 0.5 "
                "would tell in which layers, and try what helps"
            )


def _slower_in_int8(report: Report) -> Iterator[str]:
    """Yield a line for each network that is slower in int8 than in fp32, on the machine that measured."""
    for fp32, int8 in _in_both(report):
        if int8.p50_ms() > SLOWER * fp32.p50_ms():
            why = "a network so fast gains nothing by int8 but its size"
            if int8.kernels and fp32.kernels:
                why = why_slower(int8.kernels, fp32.kernels)
            yield (
                f"{int8.id} is slower than fp32 here: {int8.p50_ms():.3f} against {fp32.p50_ms():.3f} ms: {why}; "
                "another processor may differ (bench)"
            )


def _in_both(report: Report) -> Iterator[tuple[Model, Model]]:
    """Yield each network's model in fp32 and that in int8, where there are both."""
    models = {model.id: model for model in report.models}
    for fp32 in (model for model in report.models if model.precision == "fp32"):
        int8 = models.get(f"{fp32.id.removesuffix('-fp32')}-int8")
        if int8:
            yield fp32, int8


def _chance(first: Metrics, second: Metrics) -> float:
    """Return the difference of two accuracies that chance explains, if they are of different images."""
    return Z * math.sqrt(sum(scores.accuracy * (1 - scores.accuracy) / scores.n for scores in (first, second)))


def _few_images(report: Report) -> Iterator[str]:
    """Yield a line if the recall of some class is known to ten points or worse, for want of test images."""
    halves = {
        name: (row.recall_ci95[1] - row.recall_ci95[0]) / 2
        for name, row in report.deployed_model.test.classes.items()
        if row.recall_ci95
    }
    vague = sorted((name for name, half in halves.items() if half >= VAGUE), key=lambda name: -halves[name])
    if vague:
        n = report.deployed_model.test.classes[vague[0]].n
        others = counted(len(vague) - 1, "other class", "other classes")
        yield (
            f"class {vague[0]} has {counted(n, 'test image')}: its recall is known to +-{100 * halves[vague[0]]:.0f} "
            f"points{f', and that of {others} hardly better' if len(vague) > 1 else ''}: more images, or a larger "
            "data.test, would tell more"
        )


def _above_test(report: Report) -> Iterator[str]:
    """Yield a line if the deployed model is better on validation than on test, by more than chance."""
    model = report.deployed_model
    above = model.validation.accuracy - model.test.accuracy
    if above > max(ABOVE, _chance(model.validation, model.test)):
        yield (
            f"validation accuracy of {model.id} is {100 * above:.1f} points above that on test, by more than chance: "
            "epochs and model were chosen by validation, which flatters it; the splits may also differ, or hold images "
            "that belong together: data.group keeps these in one split"
        )


def _networks(report: Report) -> list[Model]:
    """Return the networks that were made from the teacher, as trained: in fp32."""
    return [model for model in report.models[1:] if model.precision == "fp32"]


def _trainings(report: Report, model: Model) -> tuple[Training, ...]:
    return report.training.get(model.id.removesuffix(f"-{model.precision}"), ())


def _differs(model: Model) -> int:
    """Return 1 if a model is better than the teacher on the same images, -1 if it is worse, 0 if that may be chance."""
    paired = model.validation.vs_teacher
    if paired is None or paired.mcnemar_p >= CHANCE:
        return 0
    return 1 if paired.only_model_right > paired.only_teacher_right else -1


def _is_behind(report: Report, scores: Metrics) -> bool:
    """Tell whether a model is behind the teacher in mean recall, which counts where classes are balanced."""
    return report.balance.method != "none" and scores.recall <= report.teacher.validation.recall


def _mistakes(training: Training, n: int) -> float:
    return n * (1 - max(row.validation_accuracy for row in training.history))


def _longer(stage: str, trainings: tuple[Training, ...]) -> str:
    """Return in words the setting that makes the last of a stage's trainings twice as long."""
    if not trainings:  # the weights were given
        return f"more {stage}.epochs"
    longer = 2 * trainings[-1].limit
    if trainings[-1].name == ONLY:
        return f"--set {stage}.epochs={longer}"
    return f"epochs = {longer} for {trainings[-1].name} in {stage}.phases"
