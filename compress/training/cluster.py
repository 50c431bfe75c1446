"""Which processes train together and which one this is: from TF_CONFIG, or from Slurm's variables.

TF_CONFIG is JSON, as TensorFlow and Kubeflow's TFJob write it: {"cluster": {"worker": ["host:port", ...]}, "task":
{"type": "worker", "index": 0}}.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from compress.errors import BadInputError
from compress.training import slurm
from compress.training.settings import Strategy

TF_CONFIG = "TF_CONFIG"
NEEDED: dict[Strategy, tuple[str, ...]] = {"multi_worker": (), "parameter_server": ("chief", "worker", "ps")}
ALLOWED: dict[Strategy, tuple[str, ...]] = {
    "multi_worker": ("chief", "worker"),
    "parameter_server": ("chief", "worker", "ps"),
}


@dataclass(frozen=True)
class Cluster:
    """All tasks by their type, each a list of `host:port`, and this process's own type and index."""

    tasks: Mapping[str, list[str]]
    kind: str
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that runs the other stages, and writes."""
        return (self.kind, self.index) == self.chief

    @property
    def chief(self) -> tuple[str, int]:
        """The chief's type and index."""
        return "chief" if "chief" in self.tasks else "worker", 0

    @property
    def chief_address(self) -> str:
        """The chief's `host:port`."""
        return self.tasks[self.chief[0]][0]

    @property
    def address(self) -> str:
        """This process's `host:port`."""
        return self.tasks[self.kind][self.index]

    @property
    def trainers(self) -> int:
        """How many processes train: all, or where servers hold the weights, the workers."""
        return len(self.tasks["worker"]) + (len(self.tasks.get("chief", ())) if "ps" not in self.tasks else 0)

    def __str__(self) -> str:
        return f"{self.kind} {self.index} of {', '.join(f'{len(a)} {kind}' for kind, a in self.tasks.items())}"


class _Task(BaseModel):
    model_config = ConfigDict(strict=True)

    type: str
    index: int


class _TfConfig(BaseModel):
    model_config = ConfigDict(strict=True)

    cluster: dict[str, list[str]]
    task: _Task


def cluster_of(strategy: Strategy, environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Return the cluster that a strategy trains on, or None for strategies of a single process.

    Raises `BadInputError` if the environment describes no cluster, or one that the strategy cannot use.
    """
    if strategy not in NEEDED:
        return None
    if TF_CONFIG in environment:
        cluster = _from_tf_config(environment[TF_CONFIG])
    elif "SLURM_PROCID" in environment:
        cluster = _from_slurm(strategy, environment)
    else:
        raise BadInputError(
            f"train.strategy = {strategy!r}: TF_CONFIG is not set, nor are Slurm's variables; should name the cluster"
        )
    foreign = [kind for kind in cluster.tasks if kind not in ALLOWED[strategy]]
    missing = [kind for kind in NEEDED[strategy] if not cluster.tasks.get(kind)]
    chiefs = len(cluster.tasks.get("chief", []))
    if foreign or missing or chiefs > 1:
        wrong = f"has {foreign[0]}" if foreign else f"has no {missing[0]}" if missing else f"has {chiefs} chiefs"
        raise BadInputError(
            f"train.strategy = {strategy!r}: the cluster {wrong}; should have {', '.join(ALLOWED[strategy])}"
        )
    return cluster


def _from_tf_config(text: str) -> Cluster:
    try:
        found = _TfConfig.model_validate_json(text)
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        where = ".".join(map(str, mistake["loc"]))
        what = "is not JSON" if mistake["type"] == "json_invalid" else f"{where}: {mistake['msg']}"
        should = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
        raise BadInputError(f"{TF_CONFIG}: {what}; should be like {should}") from error
    addresses = found.cluster.get(found.task.type, [])
    if not 0 <= found.task.index < len(addresses):
        raise BadInputError(
            f"{TF_CONFIG}: task {found.task.type} {found.task.index} is out of range; the cluster has "
            + ", ".join(f"{len(a)} {kind}" for kind, a in found.cluster.items())
        )
    for address in (address for addresses in found.cluster.values() for address in addresses):
        host, _, port = address.rpartition(":")
        if not (host and port.isdecimal()):
            raise BadInputError(f"{TF_CONFIG}: address {address!r}: should be host:port")
    return Cluster(found.cluster, found.task.type, found.task.index)


def _from_slurm(strategy: Strategy, environment: Mapping[str, str]) -> Cluster:
    """Return the cluster of a step's tasks; with parameter_server task 0 is the chief, task 1 the server of weights."""
    addresses, rank = slurm.addresses(environment)
    kinds = _kinds(strategy, len(addresses))
    tasks: dict[str, list[str]] = {}
    for kind, address in zip(kinds, addresses, strict=True):
        tasks.setdefault(kind, []).append(address)
    return Cluster(tasks, kinds[rank], kinds[:rank].count(kinds[rank]))


def _kinds(strategy: Strategy, tasks: int) -> list[str]:
    """Return what Slurm's tasks do, by rank."""
    return ["worker"] * tasks if strategy == "multi_worker" else ["chief", "ps", *["worker"] * (tasks - 2)][:tasks]


def bind_gpu(strategy: Strategy, environment: MutableMapping[str, str] = os.environ) -> str:
    """Leave this process one GPU, before TensorFlow looks; return a line if there are too few.

    Where TF_CONFIG names the cluster, whoever sets it also says which GPUs a process sees.
    """
    if strategy not in NEEDED or TF_CONFIG in environment:
        return ""
    addresses, rank = slurm.addresses(environment)
    return slurm.bind_gpu(environment, _kinds(strategy, len(addresses)), rank)
