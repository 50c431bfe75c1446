"""Training on several devices or machines, through tf.distribute.

mirrored and multi_worker (Goyal et al., "Accurate, Large Minibatch SGD", 2017: synchronous, gradients added up over all
replicas) give each replica an equal part of every batch, so that steps and loss are those of one process with the whole
batch; batch normalization sees a replica's part. parameter_server (Li et al., 2014: asynchronous) keeps the weights on
servers, where workers read and update them; the chief reads the images and hands out batches.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from compress.errors import BadInputError, MachineError, first_line
from compress.tensorflow import keras, tf
from compress.training import parameter_server
from compress.training.cluster import TF_CONFIG, Cluster
from compress.training.peers import COMING_SECONDS, GONE_SECONDS, POLL_SECONDS, Peers, Watch, answers, watched
from compress.training.settings import Strategy

PROBES = 3  # without an answer, before the chief counts as lost
SERVER_THREADS = 8  # at least, of TensorFlow's for its own waits: with 1, parameter_server hangs, with 2 now and then


class PeerLostError(MachineError):
    """Another process of the cluster is gone: the others start again, and go on from the last checkpoint."""

    starts_again = True


@dataclass(frozen=True)
class Distribution:
    """How this process trains: alone, if `strategy` is None."""

    strategy: Any = None
    cluster: Cluster | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this process evaluates, decides and writes."""
        return self.cluster is None or self.cluster.is_chief

    @property
    def shares_batches(self) -> bool:
        """Whether every replica trains on a part of each batch."""
        return self.strategy is not None and not self.has_servers

    @property
    def has_servers(self) -> bool:
        """Whether servers hold the weights, and workers train on whole batches at their own pace."""
        return self.cluster is not None and "ps" in self.cluster.tasks

    def scope(self) -> Any:
        """Return the context in which to build what is trained."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def twin(self, model: Any) -> Any:
        """Return the model that is trained in place of `model`: itself or, if distributed, one like it."""
        if self.strategy is None:
            return model
        weights = model.get_weights()
        with self.scope():
            twin = keras.models.clone_model(model)
        twin.set_weights(weights)
        return twin

    def fit_epoch(
        self,
        trained: Any,
        make: Callable[[], Any],
        sizes: Sequence[int],
        epoch: int,
        callbacks: Sequence[Any],
    ) -> float:
        """Train a compiled `TrainedModel` for an epoch; return the mean loss of its images.

        `make` returns the dataset of the epoch's batches, which hold as many images as `sizes` says.
        """
        if self.cluster and self.has_servers:
            workers = [("worker", i) for i in range(len(self.cluster.tasks["worker"]))]
            check = Watch(self.cluster, workers, GONE_SECONDS, any_will_do=True).check
            return parameter_server.fit_epoch(trained, make(), len(sizes), epoch, callbacks, len(workers), check)
        fed: dict[str, Any] = {"x": make()} if self.strategy is None else self._dealt(make, len(sizes))
        rows = sum(self._rows(size) for size in sizes)
        trained.is_padded = rows > sum(sizes)
        options = {"epochs": epoch + 1, "initial_epoch": epoch, "verbose": 0, "callbacks": list(callbacks)}
        # Keras counts rows, those that fill up included, whose loss is 0
        return trained.fit(**fed, **options).history["loss"][0] * rows / sum(sizes)

    def _dealt(self, make: Callable[[], Any], steps: int) -> dict[str, Any]:
        """Return the arguments of Keras's fit that deal each batch to all replicas."""
        replicas = self.strategy.num_replicas_in_sync

        def of_worker(context: Any) -> Any:
            here = replicas // context.num_input_pipelines
            first = context.input_pipeline_id * here
            return make().flat_map(lambda *batch: _parts(batch, range(first, first + here), replicas))

        return {"x": self.strategy.distribute_datasets_from_function(of_worker), "steps_per_epoch": steps}

    def _rows(self, size: int) -> int:
        """Return how many rows all replicas together are dealt of a batch of `size` images."""
        replicas = self.strategy.num_replicas_in_sync if self.shares_batches else 1
        return math.ceil(size / replicas) * replicas

    def wait_for_chief(self) -> None:
        """Return once all processes that share batches have called this."""
        if self.shares_batches and self.cluster:
            with self.noticing_lost_peers():
                here = self.strategy.run(tf.function(lambda: tf.constant(1)))
                self.strategy.reduce(tf.distribute.ReduceOp.SUM, here, axis=None)

    def check_chief(self) -> None:
        """Raise `PeerLostError` if the chief does not answer."""
        if self.cluster and not any(answers(self.cluster.chief_address) for _ in range(PROBES)):
            raise PeerLostError(f"the chief, {self.cluster.chief_address}, is gone")

    @contextmanager
    def noticing_lost_peers(self) -> Iterator[None]:
        """Raise `PeerLostError` for TensorFlow's errors about another process of the cluster that is gone."""
        try:
            yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            if self.cluster is None:
                raise
            reason = first_line(error)
            raise PeerLostError(f"another process of the cluster is gone: {reason}") from error


ALONE = Distribution()
_joined: dict[Strategy, Distribution] = {"none": ALONE}


def of(strategy: Strategy) -> Distribution:
    """Return the distribution that `join` made."""
    return _joined[strategy]


def join(strategy: Strategy, peers: Peers | None) -> Distribution:
    """Make a strategy, and wait for the other processes; call it before TensorFlow has computed anything.

    Raises `BadInputError` if this machine cannot run the strategy, `MachineError` if the others do not come or have
    failed, `FinishedError` if the chief has finished without this process.
    """
    if strategy == "mirrored":
        gpus = len(tf.config.list_physical_devices("GPU"))
        if gpus < 2:
            raise BadInputError(
                f"train.strategy = 'mirrored': needs two GPUs, this machine has {gpus}; should be 'none'"
            )
        _joined[strategy] = Distribution(tf.distribute.MirroredStrategy())
    elif peers:
        cluster = peers.cluster
        _configure(cluster)
        tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(0)
        peers.meet()
        peers.leave_address()
        try:
            if strategy == "multi_worker":
                made = tf.distribute.MultiWorkerMirroredStrategy()
            else:
                watch = Watch(cluster, peers.others, COMING_SECONDS)
                made = watched(_with_servers, watch.check)
        except (tf.errors.OpError, ValueError) as error:
            raise MachineError(f"train.strategy = {strategy!r}: {first_line(error)}") from error
        _joined[strategy] = Distribution(made, cluster)
    return _joined[strategy]


def serve(peers: Peers) -> NoReturn:
    """Act as a worker or server of parameter_server until the chief has finished; then end the process.

    Raises `MachineError` if this process cannot listen at its address, or if the chief does not come, has failed, or is
    gone for longer than it takes to start again.
    """
    cluster = peers.cluster
    _configure(cluster)
    peers.say(ready=True)
    peers.leave_address()
    try:
        server = tf.distribute.Server(
            tf.train.ClusterSpec(dict(cluster.tasks)), cluster.kind, cluster.index, protocol="grpc", start=True
        )
    except tf.errors.OpError as error:
        raise MachineError(f"{cluster}: {first_line(error)}") from error
    chief = Watch(cluster, [cluster.chief], GONE_SECONDS)
    while server:
        time.sleep(POLL_SECONDS)
        peers.check_ended()
        chief.check()
    raise AssertionError


def _configure(cluster: Cluster) -> None:
    """Tell TensorFlow who is who, and give it the threads that it needs."""
    os.environ[TF_CONFIG] = json.dumps(
        {"cluster": dict(cluster.tasks), "task": {"type": cluster.kind, "index": cluster.index}}
    )
    if "ps" in cluster.tasks:
        threads = max(SERVER_THREADS, 2 * len(cluster.tasks["worker"]), os.cpu_count() or 1)
        os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)


def _with_servers() -> Any:
    return tf.distribute.ParameterServerStrategy(tf.distribute.cluster_resolver.TFConfigClusterResolver())


def _parts(batch: tuple[Any, ...], ranks: range, replicas: int) -> Any:
    """Return a dataset of some replicas' equal parts of a batch, filled up with rows of it that have weight 0."""
    images, targets, weights = batch
    size = tf.shape(images)[0]

    def part(rank: int) -> tuple[Any, Any, Any]:
        rows = tf.range(rank, (size + replicas - 1) // replicas * replicas, replicas)
        own = [tf.gather(values, rows % size) for values in (images, targets, weights)]
        return own[0], own[1], tf.where(rows < size, own[2], 0.0)

    parts = [tf.data.Dataset.from_tensors(part(rank)) for rank in ranks]
    whole = parts[0]
    for other in parts[1:]:
        whole = whole.concatenate(other)
    return whole
