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
from collections.abc import Callable, Iterator
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
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.say()
        except OSError as error:
            raise cannot_write(f"workspace {workspace}", error) from error
        self.began_on_disk = self._file(cluster.kind, cluster.index).stat().st_mtime
        self._left = threading.Event()
        self._door = threading.Thread(target=self._answer, args=(self._listening(),), daemon=True)
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
        while True:
            chief_is_there = answers(self.cluster.chief_address)
            said = self._read(*self.cluster.chief)[0]
            if chief_is_there and "keys" in said and "ended" not in said:
                return said
            self.check_ended()
            if not chief_is_there:
                self._check_coming([self.cluster.chief])
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

    def check_joining(self) -> None:
        """Raise what `check_ended` raises, and `MachineError` if the others have not come in time."""
        self.check_ended()
        self._check_coming(self.others)

    def _check_coming(self, tasks: list[tuple[str, int]]) -> None:
        if time.monotonic() - self.began < COMING_SECONDS:
            return
        absent = [f"{kind} {i} ({self._address(kind, i)})" for kind, i in tasks if not answers(self._address(kind, i))]
        who = f"{', '.join(absent)} did" if absent else "all answer, but they do"
        raise MachineError(f"{self.cluster}: {who} not join within {COMING_SECONDS:.0f} seconds")

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

    def _listening(self) -> socket.socket:
        port = int(self.cluster.address.rpartition(":")[2])
        try:
            return socket.create_server(("", port))
        except OSError as error:
            raise MachineError(f"{self.cluster}: {self.cluster.address}: {error.strerror}") from error

    def _answer(self, server: socket.socket) -> None:
        server.settimeout(POLL_SECONDS / 5)
        with server:
            while not self._left.is_set():
                with contextlib.suppress(TimeoutError, socket.timeout, ConnectionError):
                    server.accept()[0].close()


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
    except OSError:
        return False
    return True
