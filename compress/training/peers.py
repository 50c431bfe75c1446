"""What a process knows of the others of its cluster: who is there, what the chief says, and who has ended for good.

Each process answers at its address from its start on, first with a bare socket and then as TensorFlow's server, and
keeps a file in a folder that all share: the chief's says what it runs, and every one's how it ended. TensorFlow itself
waits for the others without a limit, and for those that have ended too.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from compress.errors import MachineError, cannot_write
from compress.files import sha256_json, write_file
from compress.training.cluster import Cluster

POLL_SECONDS = 1.0
COMING_SECONDS = 600.0  # for which others are waited for at the start
GONE_SECONDS = 60.0  # without an answer, after which a process is gone
RECENT_SECONDS = 60.0  # an end that is older was that of an earlier run
FINISHED, FAILED = "finished", "failed"

T = TypeVar("T")


class FinishedError(Exception):
    """The chief has finished the run, so that nothing is left to take part in."""


def watched(call: Callable[[], T], check: Callable[[], None]) -> T:
    """Return what `call` returns, which may never do so; meanwhile `check` is called each second, and may raise."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    while not wait([result], POLL_SECONDS).done:
        check()
    return result.result()


class Peers:
    """The processes of a cluster, as one of them sees them; see `taking_part`."""

    def __init__(self, cluster: Cluster, workspace: Path) -> None:
        self.cluster = cluster
        self.folder = workspace / "cluster" / sha256_json(dict(cluster.tasks))[:16]
        self.began, self.said = time.monotonic(), dict[str, Any]()
        server = self._bound()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.say()
        except OSError as error:
            raise cannot_write(f"workspace {workspace}", error) from error
        server.listen()  # after what an earlier run said is gone
        self.began_on_disk = self._file(cluster.kind, cluster.index).stat().st_mtime
        self._left = threading.Event()
        self._door = threading.Thread(target=self._answer, args=(server,), daemon=True)
        self._door.start()

    @property
    def others(self) -> list[tuple[str, int]]:
        """The type and index of every other process."""
        own = self.cluster.kind, self.cluster.index
        everyone = [(kind, index) for kind, found in self.cluster.tasks.items() for index in range(len(found))]
        return [task for task in everyone if task != own]

    def say(self, **facts: Any) -> None:
        """Tell the others something, besides what was said before."""
        self.said |= facts
        write_file(self._file(self.cluster.kind, self.cluster.index), json.dumps(self.said).encode())

    def leave_address(self) -> None:
        """Stop answering at this process's address, so that TensorFlow can listen there."""
        self._left.set()
        self._door.join()

    def wait_for_chief(self) -> dict[str, Any]:
        """Return what the chief runs, once it says so.

        Raises `MachineError` if the chief has failed or does not come, `FinishedError` if it has finished.
        """
        coming = Watch(self.cluster, [self.cluster.chief], COMING_SECONDS)
        while True:
            coming.check()
            said = self._read(*self.cluster.chief)[0]
            if answers(self.cluster.chief_address) and "keys" in said and "ended" not in said:
                return said
            self.check_ended()
            time.sleep(POLL_SECONDS)

    def meet(self) -> None:
        """Return once all others are here as well; raises what `check_ended` raises, and if one does not come.

        TensorFlow, when it meets them, lets no other thread of Python run until the last one is there.
        """
        self.say(ready=True)
        watch = Watch(self.cluster, self.others, COMING_SECONDS)
        while not all("ready" in self._read(*task)[0] and answers(self._address(*task)) for task in self.others):
            watch.check()
            self.check_ended()
            time.sleep(POLL_SECONDS)

    def check_ended(self) -> None:
        """Raise `MachineError` if another process has failed, `FinishedError` if the chief has finished."""
        failure = self.failure()
        if failure:
            raise failure
        if not self.cluster.is_chief and self._end(*self.cluster.chief) == FINISHED:
            raise FinishedError

    def failure(self) -> MachineError | None:
        """Return the error to end with if another process has ended because of an error."""
        for kind, index in self.others:
            if self._end(kind, index) == FAILED:
                return MachineError(f"{kind} {index} has ended because of an error, which its own output names")
        return None

    def _address(self, kind: str, index: int) -> str:
        return self.cluster.tasks[kind][index]

    def _end(self, kind: str, index: int) -> str | None:
        """Return how another process has ended, if it has, and if that was in this run.

        An end from before this process began may be that of the run before, whose successor has only to appear.
        """
        said, when = self._read(kind, index)
        before = self.began_on_disk - when
        if before > RECENT_SECONDS or (before > 0 and time.monotonic() - self.began < RECENT_SECONDS):
            return None
        return said.get("ended")

    def _read(self, kind: str, index: int) -> tuple[dict[str, Any], float]:
        """Return what another process says, and when it said so, by the clock of the shared disk."""
        file = self._file(kind, index)
        try:
            return json.loads(file.read_bytes()), file.stat().st_mtime
        except (OSError, ValueError):
            return {}, 0.0

    def _file(self, kind: str, index: int) -> Path:
        return self.folder / f"{kind}-{index}.json"

    def _bound(self) -> socket.socket:
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("", int(self.cluster.address.rpartition(":")[2])))
        except (OSError, OverflowError) as error:
            server.close()
            reason = getattr(error, "strerror", None) or "no such port"
            raise MachineError(f"{self.cluster}: {self.cluster.address}: {reason}") from error
        return server

    def _answer(self, server: socket.socket) -> None:
        server.settimeout(POLL_SECONDS / 5)
        with server:
            while not self._left.is_set():
                with contextlib.suppress(TimeoutError, socket.timeout, ConnectionError):
                    server.accept()[0].close()


class Watch:
    """Raises `MachineError` once one of some processes, or with `any_will_do` all, have not answered for too long."""

    def __init__(
        self, cluster: Cluster, tasks: Sequence[tuple[str, int]], seconds: float, any_will_do: bool = False
    ) -> None:
        self.cluster, self.seconds, self.any_will_do = cluster, seconds, any_will_do
        self.seen = dict.fromkeys(tasks, time.monotonic())

    def check(self) -> None:
        """Look who answers, and raise the error if it is time."""
        for kind, index in self.seen:
            if answers(self.cluster.tasks[kind][index]):
                self.seen[kind, index] = time.monotonic()
        gone = [task for task, when in self.seen.items() if time.monotonic() - when > self.seconds]
        if gone and (len(gone) == len(self.seen) or not self.any_will_do):
            names = ", ".join(f"{kind} {index} ({self.cluster.tasks[kind][index]})" for kind, index in gone)
            raise MachineError(f"{self.cluster}: no answer for {self.seconds:.0f} seconds from {names}")


@contextmanager
def taking_part(cluster: Cluster, workspace: Path) -> Iterator[Peers]:
    """Show the others that this process is there, and tell them at the end whether it has finished or failed.

    A process that is about to start again tells nothing, unless the one that it lost has failed for good: then it fails
    too. `FinishedError` ends the block without an error.
    """
    peers = Peers(cluster, workspace)
    try:
        yield peers
    except FinishedError:
        pass
    except BaseException as error:
        failure: BaseException | None = error
        if getattr(error, "starts_again", False):
            failure = peers.failure()
        if failure:
            peers.say(ended=FAILED)
            raise failure from (error.__cause__ if failure is error else error)
        raise
    finally:
        peers.leave_address()
    peers.say(ended=FINISHED)


def answers(address: str) -> bool:
    """Return whether something listens at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), POLL_SECONDS).close()
    except (OSError, UnicodeError):  # the latter for a name that no host can have
        return False
    return True
