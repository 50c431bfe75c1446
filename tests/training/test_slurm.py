from __future__ import annotations

import pytest

from compress import machine
from compress.errors import BadInputError
from compress.training import slurm
from compress.training.cluster import Cluster, bind_gpu, cluster_of
from compress.training.settings import Strategy


def step(rank: int, tasks_per_node: str = "2(x2)", nodes: str = "node[1-2]", **more: str) -> dict[str, str]:
    """Return what Slurm sets for a task."""
    more = {"PROCID": str(rank), "STEP_NODELIST": nodes, "STEP_TASKS_PER_NODE": tasks_per_node, **more}
    return {name if name.startswith("CUDA") else f"SLURM_{name}": value for name, value in more.items()}


def test_slurm_tells_who_is_who() -> None:
    nodes = ["node1:8888", "node1:8889", "node2:8888", "node2:8889"]

    assert cluster_of("multi_worker", step(3)) == Cluster({"worker": nodes}, "worker", 3)
    servers = {"chief": nodes[:1], "ps": nodes[1:2], "worker": nodes[2:]}
    assert cluster_of("parameter_server", step(0)) == Cluster(servers, "chief", 0)
    assert cluster_of("parameter_server", step(1)) == Cluster(servers, "ps", 0)
    assert cluster_of("parameter_server", step(3)) == Cluster(servers, "worker", 1)


def test_jobs_that_share_a_node_do_not_share_ports() -> None:
    ports = [cluster_of("multi_worker", step(0, JOB_ID=job)) for job in ("7", "8")]

    assert [cluster.tasks["worker"][1] for cluster in ports if cluster] == ["node1:9337", "node1:9401"]


@pytest.mark.parametrize(
    ("nodes", "hosts"),
    [
        ("a", ["a"]),
        ("n[1-2],m5,o[3-4,6]", ["n1", "n2", "m5", "o3", "o4", "o6"]),
        ("n[08-11]", ["n08", "n09", "n10", "n11"]),
        ("rack[0-1]n[1,3].site", ["rack0n1.site", "rack0n3.site", "rack1n1.site", "rack1n3.site"]),
    ],
)
def test_lists_of_nodes_are_expanded(nodes: str, hosts: list[str]) -> None:
    assert slurm.hostnames(nodes) == hosts


@pytest.mark.parametrize(
    ("strategy", "environment", "said"),
    [
        ("multi_worker", {"SLURM_PROCID": "0"}, "SLURM_STEP_NODELIST is not set; should be: start all processes with"),
        ("multi_worker", step(4), "task 4 of 2+2 on 2 nodes; should be one count for each node"),
        ("multi_worker", step(0, "2(x3)"), "task 0 of 2+2+2 on 2 nodes"),
        ("multi_worker", step(0, "two"), "'two' tasks per node; should be such as '3(x2),1'"),
        ("multi_worker", step(0, nodes="n[a-b]"), "[a-b] in the list of nodes; should be numbers"),
        ("multi_worker", step(0, PROCID="x"), "SLURM_PROCID = 'x': should be a number"),
        ("multi_worker", step(1, NODEID="1", LOCALID="0"), "should be started with srun --distribution=block"),
        ("parameter_server", step(0, "2", "n"), "the cluster has no worker; should have chief, worker, ps"),
    ],
)
def test_a_step_that_cannot_train_together_is_refused_with_one_line(
    strategy: Strategy, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        cluster_of(strategy, environment)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("strategy", "tasks_per_node", "gpus", "bound"),
    [
        ("multi_worker", "2(x2)", "0,1", ["0", "1", "0", "1"]),
        ("multi_worker", "2(x2)", "4,5,6", ["4", "5", "4", "5"]),
        ("multi_worker", "4", "0,1", ["", "", "", ""]),  # all or none: they need the same kind of device
        ("multi_worker", "2", "", ["", ""]),
        ("parameter_server", "4", "0,1", ["", "", "0", "1"]),
        ("parameter_server", "4", "0,1,2", ["2", "", "0", "1"]),
        ("parameter_server", "5", "0,1", ["", "", "", "", ""]),
    ],
)
def test_each_task_that_trains_has_one_gpu_before_tensorflow_looks(
    strategy: Strategy, tasks_per_node: str, gpus: str, bound: list[str]
) -> None:
    nodes = "n[1-2]" if "x" in tasks_per_node else "n"
    tasks = [step(rank, tasks_per_node, nodes, CUDA_VISIBLE_DEVICES=gpus) for rank in range(len(bound))]
    for task in tasks * 2:  # a process that starts again finds what it has set
        bind_gpu(strategy, task)

    assert [task["CUDA_VISIBLE_DEVICES"] for task in tasks] == bound


def test_gpus_that_slurm_has_bound_or_that_are_not_there_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    bound, none, listed = step(1, CUDA_VISIBLE_DEVICES="3", GPUS_PER_TASK="1"), step(1), step(1)

    assert bind_gpu("multi_worker", bound) == ""
    monkeypatch.setattr(machine, "gpus", lambda: ())
    assert bind_gpu("multi_worker", none) == ""
    monkeypatch.setattr(machine, "gpus", lambda: ("a", "b"))
    assert bind_gpu("multi_worker", listed) == ""

    assert bound["CUDA_VISIBLE_DEVICES"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in none
    assert listed["CUDA_VISIBLE_DEVICES"] == "1"


def test_too_few_gpus_are_said() -> None:
    said = bind_gpu("multi_worker", step(2, "4", "n", CUDA_VISIBLE_DEVICES="0,1"))

    assert said == "4 workers share 2 GPUs of this node: all compute on the CPU; should be one each"
