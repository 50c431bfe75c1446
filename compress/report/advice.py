"""What would help most where a run fell short: lines made from the measured facts in its report.

The lines lead to other settings, so all of them rest on the validation split; the test split is for figures alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from compress.metrics.training import still_rose
from compress.report.making import Training
from compress.report.schema import Metrics, Model, Report

CHANCE = 0.05  # p-value below which a difference is none of chance
MISTAKES = 23  # halving fewer could not be told from chance: (m - m / 2) / sqrt(m + m / 2) is 1.96 for 23
ONLY = "training"  # the name of a stage's training if it has one, and of the one after a teacher's phases


def advice(report: Report) -> tuple[str, ...]:
    """Return a line for each thing that would probably have helped, with the setting for it; none if all went well."""
    return (*_guesses(report), *_behind_student(report), *_too_short(report))


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
