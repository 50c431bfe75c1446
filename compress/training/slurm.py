"""Which processes train together, and on which GPUs, from the variables that Slurm sets for each task of a step.

https://slurm.schedmd.com/srun.html#SECTION_OUTPUT-ENVIRONMENT-VARIABLES. Read without TensorFlow, which takes all GPUs
that it sees as soon as it is imported.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, MutableMapping, Sequence

from compress import machine
from compress.errors import BadInputError

FIRST_PORT, PORTS = 8888, 64  # apart for the steps of a job; other jobs have others, see `_port`
SPREAD = 300  # jobs with ports of their own
BOUND_BY_SLURM = ("SLURM_GPUS_PER_TASK", "SLURM_GPU_BIND", "SLURM_TRES_BIND", "SLURM_TRES_PER_TASK")
CUDA = "CUDA_VISIBLE_DEVICES"
OF_NODE = "COMPRESS_GPUS_OF_NODE"


def addresses(environment: Mapping[str, str]) -> tuple[list[str], int]:
    """Return `host:port` of every task, by rank, and the rank of this one.

    Raises `BadInputError` if variables are missing or cannot be read, or if ranks do not go from node to node.
    """
    hosts = hostnames(_variable(environment, "NODELIST"))
    counts = _counts(_variable(environment, "TASKS_PER_NODE"))
    rank = _number(environment, "SLURM_PROCID", 0)
    if len(hosts) != len(counts) or not 0 <= rank < sum(counts):
        raise BadInputError(
            f"Slurm's variables: task {rank} of {'+'.join(map(str, counts))} on {len(hosts)} nodes; should be one "
            "count for each node, and the task one of them"
        )
    places = [(node, local) for node, count in enumerate(counts) for local in range(count)]
    node, local = places[rank]
    told = _number(environment, "SLURM_NODEID", node), _number(environment, "SLURM_LOCALID", local)
    if told != (node, local):
        raise BadInputError(
            f"Slurm's variables: task {rank} is number {told[1]} of node {told[0]}, in order it were number {local} of "
            f"node {node}; should be started with srun --distribution=block"
        )
    port = _port(environment)
    return [f"{hosts[node]}:{port + local}" for node, local in places], rank


def bind_gpu(environment: MutableMapping[str, str], kinds: Sequence[str], rank: int) -> str:
    """Leave a task one of its node's GPUs, unless Slurm has bound GPUs to tasks; return a line if it gets none.

    `kinds` are what the tasks do, by rank. Each worker has a GPU, then the chief; what serves weights needs none. If a
    node has fewer GPUs than workers, all of them compute on the CPU: together they need the same kind of device.
    """
    if any(name in environment for name in BOUND_BY_SLURM):
        return ""
    visible = environment.get(OF_NODE, environment.get(CUDA))  # a process that starts again has bound its own before
    gpus = [str(i) for i in range(len(machine.gpus()))] if visible is None else [x for x in visible.split(",") if x]
    if not gpus:
        return ""
    counts = _counts(_variable(environment, "TASKS_PER_NODE"))
    node = next(n for n in range(len(counts)) if rank < sum(counts[: n + 1]))
    here = range(sum(counts[:node]), sum(counts[: node + 1]))
    workers = [task for task in here if kinds[task] == "worker"]
    takers = workers + [task for task in here if kinds[task] == "chief"]
    enough = len(workers) <= len(gpus)
    environment[OF_NODE] = ",".join(gpus)
    environment[CUDA] = gpus[takers.index(rank)] if enough and rank in takers[: len(gpus)] else ""
    if enough or rank not in takers:
        return ""
    return f"{len(workers)} workers share {len(gpus)} GPUs of this node: all compute on the CPU; should be one each"


def hostnames(nodes: str) -> list[str]:
    """Return the hosts of Slurm's list, such as "a[1-2,05],b" or "rack[0-1]n[1-2]", in order."""
    found = []
    for word in re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", nodes):
        parts = re.split(r"\[([^\]]*)\]", word)  # names and, at odd places, ranges
        choices = [_range(part) if i % 2 else [part] for i, part in enumerate(parts)]
        found += ["".join(chosen) for chosen in itertools.product(*choices)]
    return found


def _range(text: str) -> list[str]:
    numbers = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            raise BadInputError(f"Slurm's variables: [{text}] in the list of nodes; should be numbers, such as [1-3,5]")
        numbers += [f"{n:0{len(first)}d}" for n in range(int(first), int(last or first) + 1)]
    return numbers


def _counts(text: str) -> list[int]:
    """Return the number of tasks on each node from a text such as "3(x2),1"."""
    counts: list[int] = []
    for word in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", word)
        if not match:
            raise BadInputError(f"Slurm's variables: {text!r} tasks per node; should be such as '3(x2),1'")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def _variable(environment: Mapping[str, str], name: str) -> str:
    """Return a variable of the step or, in a batch script outside any step, of the job."""
    for variable in (f"SLURM_STEP_{name}", f"SLURM_{name}"):
        if variable in environment:
            return environment[variable]
    raise BadInputError(f"SLURM_STEP_{name} is not set; should be: start all processes with srun")


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdecimal():
        raise BadInputError(f"{name} = {text!r}: should be a number; Slurm sets it")
    return int(text)


def _port(environment: Mapping[str, str]) -> int:
    """Return the first port of a job: two jobs that share a node must not talk to each other."""
    return FIRST_PORT + PORTS * (_number(environment, "SLURM_JOB_ID", 0) % SPREAD)
