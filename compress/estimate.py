"""Estimates of what each stage costs, from the measured steps of its training and the facts about the data.

These functions are not in the stages' own modules, so that a change here does not make anything train again. Each takes
the stage's config, the facts about the data, what training its network costs (None if it trains none), and the
estimates of the stage's inputs, by parameter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel

from compress import machine
from compress.data.balance import Method, epoch_size
from compress.pruning.effort import SCORED, SECONDS, WIDTHS, other_passes, tries_of_layers
from compress.quantization.settings import JUDGED
from compress.rehearsal import Cost
from compress.stages import bench, data, distill, prune, prune_student, quantize, report, teacher
from compress.stages import export as export_stage
from compress.training.settings import FORWARD, TrainingSettings

RUNTIME_BYTES = 900_000_000  # Python, TensorFlow and ONNX Runtime before the first tensor
WEIGHT_COPIES = 6  # weights, gradients, momentum, the best epoch's weights, and two while a checkpoint is written
ACTIVATION_COPIES = 3  # values, their gradients, and a convolution's rearranged input
INT8 = 0.35  # of the time that a model takes in float
PREPARATION = 8.0  # seconds for a network to be built and its first step to be traced
CONVERSION = 2.0, 0.8e-6  # seconds for a network to become ONNX, and more for each weight
QUANTIZATION = 0.4  # of a conversion's time, for a network's integers to be written
CLIPPING = 8  # times as long as in float, for a model to be run as processors without VNNI do
PASSES = 2  # over the images that a network is calibrated on, at most
WARM_UP = 1.0  # seconds to open a model and call it until it is warm
WRITING = 5.0  # seconds to draw and write what is in a bundle beside the models


@dataclass(frozen=True)
class Facts:
    """What is known about the data before a run; `counts` are the training images per class."""

    counts: tuple[int, ...]
    n_validation: int
    n_test: int
    image_shape: tuple[int, int, int]
    balance: Method

    @property
    def n_train(self) -> int:
        """The number of training images."""
        return sum(self.counts)

    @property
    def n_balanced(self) -> int:
        """The number of images per epoch of training on labels."""
        return epoch_size(self.counts, self.balance)


@dataclass(frozen=True)
class Network:
    """A network, and how many seconds it takes per image to train it, and to run it in float with all cores."""

    params: int
    macs: int
    activations: int
    training: float
    inference: float


@dataclass(frozen=True)
class Estimate:
    """The cost of a stage: seconds, and for a training memory. `networks` are those that its result holds.

    `least` is how few seconds a training takes that ends once it learns no more, 0 if that is not known. `inference` is
    how many seconds the models of the result take together to run one image, with all cores.
    """

    seconds: float
    least: float = 0.0
    memory_bytes: int = 0
    networks: tuple[Network, ...] = ()
    inference: float = 0.0


Inputs = Mapping[str, Sequence[Estimate]]


def network_of(cost: Cost, engine: BaseModel) -> Network:
    """Return a network's cost as it is trained: in the engine's precision, by all its replicas together."""
    slowest = max(cost.seconds.values())  # float32 as a rule
    training = cost.seconds.get(getattr(engine, "precision", "float32"), slowest) / max(
        1, getattr(engine, "replicas", 1)
    )
    return Network(cost.params, cost.macs, cost.activations, training, FORWARD * slowest)


def facts(config: data.Config, image: data.Image, balance: Method) -> Facts:
    """Return the facts about the data that the data stage would make, without running it."""
    import numpy as np

    from compress.data.preparation import height_and_width
    from compress.data.splits import share_left
    from compress.data.survey import channels_of

    samples = config.source.function(config.source.name, config.group, **config.rooted)
    given = list(samples.splits or ()) or ["train"] * len(samples.images)
    shape = (*height_and_width(image.size), channels_of(samples.images, image.color))
    train = samples.labels[np.array(given, object) == "train"]
    left = share_left(set(given), validation=config.validation, test=config.test)
    counts = np.maximum(1, np.rint(np.bincount(train, minlength=len(samples.classes)) * left)).astype(int)
    n_validation, n_test = (
        given.count(split) if split in given else round(fraction * len(train))
        for split, fraction in (("validation", config.validation), ("test", config.test))
    )
    return Facts(tuple(counts.tolist()), n_validation, n_test, shape, balance)


def of_training(
    network: Network, settings: TrainingSettings, facts: Facts, images: int, passes: float | None = None
) -> Estimate:
    """Return the cost of training a network on `images` images per epoch, without early stopping by `patience`.

    `passes` is how often all of them are seen, by default once per epoch. Each is followed by one over validation.
    """
    from compress.training.fall import shortest

    passes = settings.epochs if passes is None else passes
    memory = (
        RUNTIME_BYTES
        + 4 * WEIGHT_COPIES * network.params
        + 4 * ACTIVATION_COPIES * network.activations * min(settings.batch_size, images)
    )
    spared = settings.epochs - shortest(settings.schedule, settings.epochs, math.ceil(images / settings.batch_size))
    seconds, least = (
        PREPARATION + n * (images * network.training + facts.n_validation * network.inference)
        for n in (passes, passes - spared)
    )
    return Estimate(seconds, least, memory, (network,), network.inference)


def of_teacher(config: teacher.Config, facts: Facts, network: Network, inputs: Inputs) -> Estimate:
    """Return the cost of training the teacher, including its phases: stored features take one forward pass per view."""
    if not config.trains:
        return Estimate(0.0, networks=(network,), inference=network.inference)
    return of_training(network, config, facts, facts.n_balanced, sum(config.costs))


def of_prune(config: prune.Config, facts: Facts, network: Network | None, inputs: Inputs) -> Estimate:
    """Return the cost of judging filters, computing the network's logits, and training what is left of it.

    How much faster it is without filters is known only where the target is one of multiplications. Computing masks is
    left out.
    """
    whole = left = network or inputs["network"][0].networks[0]
    judging = 0.0
    if config.method != "magnitude":
        judging = min(config.importance_images, facts.n_train) * whole.training
        if config.target_of == "macs":
            faster = {name: config.fraction * getattr(whole, name) for name in ("training", "inference")}
            left = replace(whole, macs=round(config.fraction * whole.macs), **faster)
        elif config.target_of == "latency":
            judging += SECONDS + len(WIDTHS) * _conversion(whole)
    training = of_training(left, config, facts, facts.n_balanced)
    cost = _following(training, facts, min(config.views, config.epochs), whole.inference)
    others = other_passes(config) * facts.n_balanced * whole.training
    alone = tries_of_layers(config) * min(SCORED, facts.n_validation) * whole.inference
    before = judging + others + alone
    return replace(cost, seconds=before + cost.seconds, least=before + cost.least)


def of_prune_student(config: prune_student.Config, facts: Facts, network: Network | None, inputs: Inputs) -> Estimate:
    """Return the cost of pruning the student; none if it stays as it is."""
    if config.enabled:
        return of_prune(config, facts, network, inputs)
    [student] = inputs["network"]
    return Estimate(0.0, networks=student.networks, inference=student.inference)


def of_quantize(config: quantize.Config, facts: Facts, network: None, inputs: Inputs) -> Estimate:
    """Return the cost of converting a network, of calibrating it, and of running int8 models on validation images.

    What a search would cost is not known: that none is needed is taken.
    """
    [source] = inputs["network"]
    several = len(config.calibration)
    seconds = (1 + QUANTIZATION * several) * _conversion(source.networks[0])
    images = PASSES * min(config.images, facts.n_train)
    images += (several > 1) * min(JUDGED, facts.n_validation) * (1 + several)
    images += (config.max_drop != "none") * 2 * facts.n_validation
    images += (config.target == "this") * CLIPPING * quantize.clipped_images(facts.image_shape, facts.n_validation)
    seconds += images * source.inference
    return Estimate(seconds, networks=source.networks, inference=INT8 * source.inference)


def of_distill(config: distill.Config, facts: Facts, network: Network, inputs: Inputs) -> Estimate:
    """Return the cost of computing the source's logits for all views, and of training the student."""
    cost = of_training(network, config, facts, facts.n_train * config.views)
    return _following(cost, facts, config.views, inputs["source"][0].inference)


def _following(training: Estimate, facts: Facts, views: int, inference: float) -> Estimate:
    """Return the cost of a training with that of the logits which it follows; `inference` is the source's."""
    logits = facts.n_train * views * inference
    return replace(training, seconds=logits + training.seconds, least=logits + training.least)


def of_export(config: export_stage.Config, facts: Facts, network: None, inputs: Inputs) -> Estimate:
    """Return the cost of converting the networks that were not quantized, and comparing all of them."""
    made = list({id(network): network for source in inputs["networks"] for network in source.networks}.values())
    converted = made[: len(made) - len(inputs["quantized"])]  # quantizing has converted the others
    inference = sum(network.inference for network in made) + sum(int8.inference for int8 in inputs["quantized"])
    images = min(config.images, facts.n_validation)
    seconds = sum(map(_conversion, converted)) + 2 * images * sum(network.inference for network in made)
    return Estimate(seconds, networks=tuple(made), inference=inference)


def of_bench(config: bench.Config, facts: Facts, network: None, inputs: Inputs) -> Estimate:
    """Return the cost of measuring latencies: the set time, or a round of all models where that takes longer."""
    [models] = inputs["export"]
    cores = machine.available_cores()
    seconds = 0.0
    for batch in config.batches:
        for threads in {1, cores}:
            once = batch * models.inference * cores / threads
            seconds += max(config.seconds, 2 * once) + once + WARM_UP
    return Estimate(seconds * (2 if machine.gpus() else 1))


def of_unbalanced(config: teacher.Config, facts: Facts, network: Network, inputs: Inputs) -> Estimate:
    """Return the cost of training the teacher without balancing; none if nothing is balanced."""
    if facts.balance == "none":
        return Estimate(0.0)
    return of_teacher(config, replace(facts, balance="none"), network, inputs)


def of_report(config: report.Config, facts: Facts, network: None, inputs: Inputs) -> Estimate:
    """Return the cost of running all models on all images that are held out, and of writing the bundle."""
    return Estimate((facts.n_validation + facts.n_test) * inputs["export"][0].inference + WRITING)


def of_other(seconds: float, inputs: Inputs) -> Estimate:
    """Return the cost of a stage of which nothing but its usual time is known: it passes on the networks it takes."""
    taken = [source for sources in inputs.values() for source in sources if source.networks]
    networks = taken[0].networks if taken else ()
    return Estimate(seconds, networks=networks, inference=taken[0].inference if taken else 0.0)


def _conversion(network: Network) -> float:
    base, per_weight = CONVERSION
    return base + per_weight * network.params
