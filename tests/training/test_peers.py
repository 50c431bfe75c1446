"""Processes of a cluster as threads: no TensorFlow."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compress.errors import CompressError, MachineError
from compress.training import peers
from compress.training.cluster import Cluster
from compress.training.peers import FinishedError, Peers, Watch, taking_part, watched

WORKERS = 2


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "POLL_SECONDS", 0.02)


@pytest.fixture
def clusters() -> list[Cluster]:
    """What each of two workers knows; the first is the chief."""
    free = [socket.create_server(("127.0.0.1", 0)) for _ in range(WORKERS)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in free]
    for one in free:
        one.close()
    return [Cluster({"worker": addresses}, "worker", index) for index in range(WORKERS)]


@contextmanager
def ended_with(error: BaseException | None, cluster: Cluster, folder: Path) -> Iterator[None]:
    """Have another process come and go."""
    with pytest.raises(type(error)) if error else pytest.MonkeyPatch.context(), taking_part(cluster, folder) as other:
        other.leave_address()
        if error:
            raise error
    yield


def test_who_follows_learns_what_the_chief_runs(clusters: list[Cluster], tmp_path: Path) -> None:
    with taking_part(clusters[1], tmp_path) as follower:
        threading.Timer(0.1, lambda: chief.say(keys={"teacher": "k"}, trains=True)).start()
        with taking_part(clusters[0], tmp_path) as chief:
            assert follower.wait_for_chief() == {"keys": {"teacher": "k"}, "trains": True}


@pytest.mark.parametrize("error", [MachineError("disk"), KeyboardInterrupt(), RuntimeError("unknown")])
def test_a_process_that_fails_ends_the_others(error: BaseException, clusters: list[Cluster], tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError, match=r"^worker 0 has ended because of an error, which its own output names"),
        taking_part(clusters[1], tmp_path) as follower,
        ended_with(error, clusters[0], tmp_path),
    ):
        follower.wait_for_chief()

    with (
        pytest.raises(MachineError, match="worker 1 has ended"),
        taking_part(clusters[0], tmp_path) as chief,
        ended_with(error, clusters[1], tmp_path),
    ):
        chief.meet()


def test_a_chief_that_finishes_ends_the_others_without_an_error(clusters: list[Cluster], tmp_path: Path) -> None:
    with taking_part(clusters[1], tmp_path) as follower, ended_with(None, clusters[0], tmp_path):
        follower.wait_for_chief()
        pytest.fail("went on")
    with taking_part(clusters[0], tmp_path) as chief, ended_with(None, clusters[1], tmp_path):
        chief.check_ended()  # a follower that is done is no reason to end


def test_a_chief_that_failed_just_before_anybody_looked_ends_the_others_unless_it_comes_back(
    clusters: list[Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "RECENT_SECONDS", 0.4)
    with ended_with(MachineError("locked"), clusters[0], tmp_path):
        pass
    time.sleep(0.05)
    start = time.monotonic()
    with pytest.raises(MachineError, match="worker 0 has ended"), taking_part(clusters[1], tmp_path) as follower:
        follower.wait_for_chief()
    assert time.monotonic() - start > 0.3

    with taking_part(clusters[1], tmp_path) as follower, taking_part(clusters[0], tmp_path) as chief:
        chief.say(keys={})
        assert follower.wait_for_chief() == {"keys": {}}


def test_how_an_earlier_run_ended_does_not_count(
    clusters: list[Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "COMING_SECONDS", 0.2)
    monkeypatch.setattr(peers, "RECENT_SECONDS", 0.0)
    with ended_with(None, clusters[0], tmp_path):
        pass
    [record] = tmp_path.glob("cluster/*/worker-0.json")
    os.utime(record, (0, 0))

    with (
        pytest.raises(MachineError, match=r"^worker 1 of 2 worker: no answer for 0 seconds from worker 0 "),
        taking_part(clusters[1], tmp_path) as follower,
    ):
        follower.wait_for_chief()


def test_a_chief_whose_others_do_not_come_says_which(
    clusters: list[Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "COMING_SECONDS", 0.1)

    with (
        pytest.raises(MachineError, match=r"^worker 0 of 2 worker: no answer for 0 seconds from worker 1 "),
        taking_part(clusters[0], tmp_path) as chief,
    ):
        chief.meet()


def test_all_meet_once_the_last_is_ready(clusters: list[Cluster], tmp_path: Path) -> None:
    with taking_part(clusters[0], tmp_path) as chief, taking_part(clusters[1], tmp_path) as follower:
        waiting = threading.Thread(target=chief.meet)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        follower.meet()
        waiting.join()


def test_of_several_that_do_the_same_one_is_enough(clusters: list[Cluster], tmp_path: Path) -> None:
    tasks = [("worker", 0), ("worker", 1)]
    with taking_part(clusters[1], tmp_path):
        one = Watch(clusters[0], tasks, 0.5, any_will_do=True)
        all_of_them = Watch(clusters[0], tasks, 0.5)
        time.sleep(0.6)
        one.check()
        with pytest.raises(MachineError, match=r"from worker 0 \(127[^,]*$"):
            all_of_them.check()
    time.sleep(0.6)
    with pytest.raises(MachineError, match=r"from worker 0 .*, worker 1 "):
        one.check()


class LostError(CompressError):
    starts_again = True


def test_a_process_that_starts_again_ends_instead_if_the_one_that_it_lost_has_failed(
    clusters: list[Cluster], tmp_path: Path
) -> None:
    with pytest.raises(LostError), taking_part(clusters[0], tmp_path):
        raise LostError
    with (
        pytest.raises(MachineError, match="worker 1 has ended"),
        taking_part(clusters[0], tmp_path),
        ended_with(ValueError(), clusters[1], tmp_path),
    ):
        raise LostError
    [record] = tmp_path.glob("cluster/*/worker-0.json")
    assert "failed" in record.read_text()


def test_an_address_that_another_process_listens_at_is_named(clusters: list[Cluster], tmp_path: Path) -> None:
    with (
        socket.create_server(("", int(clusters[0].address.split(":")[1]))),
        pytest.raises(MachineError, match=r"^worker 0 of 2 worker: 127\.0\.0\.1:\d+: Address already in use"),
    ):
        Peers(clusters[0], tmp_path)


def test_what_a_watched_call_returns_or_raises_is_passed_on() -> None:
    assert watched(lambda: 1, lambda: None) == 1
    with pytest.raises(FinishedError):
        watched(_finished, lambda: None)


def _finished() -> None:
    raise FinishedError
