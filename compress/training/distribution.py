"""Training on several devices or machines, through tf.distribute.

mirrored and multi_worker (Goyal et al., "Accurate, Large Minibatch SGD", 2017: synchronous, gradients added up over all
replicas) give each replica an equal part of every batch, so that steps and loss are those of one process with the whole
batch; batch normalization sees a replica's part. parameter_server (Li et al., 2014: asynchronous) keeps the weights on
servers, where workers read and update them; the chief reads the images and hands out batches.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.errors import BadInputError, MachineError, first_line
from compress.tensorflow import keras, tf
from compress.training.cluster import TF_CONFIG, Cluster
from compress.training.settings import Strategy

POLL_SECONDS = 1.0
PROBES = 3  # without an answer, before a process counts as gone
GONE_SECONDS = 60.0  # for which servers wait for a chief that starts again


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

    def feed(self, make: Callable[[], Any], steps: int) -> dict[str, Any]:
        """Return the arguments of Keras's fit for the data set of whole batches that `make` returns."""
        if self.strategy is None:
            return {"x": make()}
        if self.has_servers:

            def of_asynchronous_worker(context: Any) -> Any:
                # made here, within the worker's graph; its Python runs in the chief's process, where it was defined
                return make().shard(context.num_input_pipelines, context.input_pipeline_id).repeat()

            return {"x": keras.utils.experimental.DatasetCreator(of_asynchronous_worker), "steps_per_epoch": steps}
        replicas = self.strategy.num_replicas_in_sync

        def of_worker(context: Any) -> Any:
            here = replicas // context.num_input_pipelines
            first = context.input_pipeline_id * here
            return make().flat_map(lambda *batch: _parts(batch, range(first, first + here), replicas))

        return {"x": self.strategy.distribute_datasets_from_function(of_worker), "steps_per_epoch": steps}

    def wait_for_chief(self) -> None:
        """Return once all processes that share batches have called this."""
        if self.shares_batches and self.cluster:
            with self.noticing_lost_peers():
                here = self.strategy.run(tf.function(lambda: tf.constant(1)))
                self.strategy.reduce(tf.distribute.ReduceOp.SUM, here, axis=None)

    def check_chief(self) -> None:
        """Raise `PeerLostError` if the chief does not answer."""
        if self.cluster and not any(_answers(self.cluster.chief_address) for _ in range(PROBES)):
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


def join(strategy: Strategy, cluster: Cluster | None) -> Distribution:
    """Make a strategy, and wait for the other processes; call it before TensorFlow has computed anything.

    Raises `BadInputError` if this machine cannot run the strategy, `MachineError` if the others do not come.
    """
    if strategy == "mirrored":
        gpus = len(tf.config.list_physical_devices("GPU"))
        if gpus < 2:
            raise BadInputError(
                f"train.strategy = 'mirrored': needs two GPUs, this machine has {gpus}; should be 'none'"
            )
        _joined[strategy] = Distribution(tf.distribute.MirroredStrategy())
    elif cluster:
        os.environ[TF_CONFIG] = json.dumps(
            {"cluster": dict(cluster.tasks), "task": {"type": cluster.kind, "index": cluster.index}}
        )
        tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(0)
        try:
            if strategy == "multi_worker":
                _joined[strategy] = Distribution(tf.distribute.MultiWorkerMirroredStrategy(), cluster)
            else:
                resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
                made = tf.distribute.ParameterServerStrategy(resolver)
                _joined[strategy] = Distribution(made, cluster)
        except (tf.errors.OpError, ValueError) as error:
            raise MachineError(f"train.strategy = {strategy!r}: {first_line(error)}") from error
    return _joined[strategy]


def serve(cluster: Cluster, announcement: Path) -> None:
    """Act as a worker or server of parameter_server until the chief has come, gone, and withdrawn its announcement.

    A chief that was killed leaves its announcement behind, and is waited for a while. Raises `MachineError` if this
    process cannot listen at its address.
    """
    spec = tf.train.ClusterSpec(dict(cluster.tasks))
    try:
        server = tf.distribute.Server(
            spec, job_name=cluster.kind, task_index=cluster.index, protocol="grpc", start=True
        )
    except tf.errors.OpError as error:
        raise MachineError(f"{cluster}: {first_line(error)}") from error
    last_seen = 0.0
    while server:
        time.sleep(POLL_SECONDS)
        if _answers(cluster.chief_address):
            last_seen = time.monotonic()
        elif last_seen and (not announcement.exists() or time.monotonic() - last_seen > GONE_SECONDS):
            sys.stdout.flush()
            os._exit(0)  # the server's threads cannot be stopped


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), POLL_SECONDS).close()
    except OSError:
        return False
    return True


def _parts(batch: tuple[Any, ...], ranks: range, replicas: int) -> Any:
    """Return a dataset of some replicas' parts of a batch, so weighted that the mean of all is the batch's."""
    images, targets, weights = batch
    size = tf.shape(images)[0]

    def part(rank: int) -> tuple[Any, Any, Any]:
        own = weights[rank::replicas]
        fair = tf.cast(tf.shape(own)[0] * replicas, tf.float32) / tf.cast(size, tf.float32)
        return images[rank::replicas], targets[rank::replicas], own * fair

    parts = [tf.data.Dataset.from_tensors(part(rank)) for rank in ranks]
    whole = parts[0]
    for other in parts[1:]:
        whole = whole.concatenate(other)
    return whole
