from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from compress.serve.batching import Batcher
from compress.serve.limits import Limits, Refused
from compress.serve.metrics import Metrics


class Sums:
    """A model that gives each image's sum, and holds each run until it is let go on."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.names: list[list[str]] = []
        self.go_on = threading.Event()

    def __call__(self, names: Sequence[str], pixels: np.ndarray) -> list[np.ndarray]:
        assert self.go_on.wait(10)
        self.batches.append(len(pixels))
        self.names.append(list(names))
        return [pixels.sum(axis=1) for _ in names]


def batcher_of(model: Sums, **limits: float) -> Batcher:
    return Batcher(model, Limits(**limits), Metrics().of_model("sums"))  # type: ignore[arg-type]


def images(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)[:, np.newaxis]


async def ask(batcher: Batcher, *values: int, outputs: Sequence[str] = ("sum",), seconds: float = 10) -> list[int]:
    deadline = asyncio.get_running_loop().time() + seconds
    answer = await batcher.infer(images(*values), outputs, deadline)
    return [int(value) for value in answer[outputs[0]]]


async def started(*coroutines: object) -> list[asyncio.Task[list[int]]]:
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]  # type: ignore[call-overload]
    await asyncio.sleep(0.05)
    return tasks


def test_what_waits_while_the_model_is_busy_runs_together_and_each_gets_its_own() -> None:
    async def story() -> None:
        model = Sums()
        batcher = batcher_of(model, batch=4)
        first = await started(ask(batcher, 9))
        others = await started(*(ask(batcher, value) for value in (1, 2, 3, 4, 5)))
        model.go_on.set()

        assert await asyncio.gather(*first, *others) == [[9], [1], [2], [3], [4], [5]]
        assert model.batches == [1, 4, 1]

    asyncio.run(story())


def test_a_batch_is_never_larger_than_it_may_be_and_order_is_kept() -> None:
    async def story() -> None:
        model = Sums()
        batcher = batcher_of(model, batch=4)
        first = await started(ask(batcher, 9))
        others = await started(ask(batcher, 1, 2, 3), ask(batcher, 4, 5), ask(batcher, 6))
        model.go_on.set()

        assert await asyncio.gather(*first, *others) == [[9], [1, 2, 3], [4, 5], [6]]
        assert model.batches == [1, 3, 3]

    asyncio.run(story())


def test_only_outputs_that_are_asked_for_are_computed() -> None:
    async def story() -> None:
        model = Sums()
        model.go_on.set()
        batcher = batcher_of(model)

        deadline = asyncio.get_running_loop().time() + 10
        answers = await asyncio.gather(*(batcher.infer(images(1), [name], deadline) for name in "ba"))

        assert [list(answer) for answer in answers] == [["b"], ["a"]]
        assert model.names == [["a", "b"]]

    asyncio.run(story())


def test_what_has_waited_until_its_deadline_is_refused_and_what_runs_is_answered() -> None:
    async def story() -> None:
        model = Sums()
        batcher = batcher_of(model)
        [first] = await started(ask(batcher, 1, seconds=0.01))
        [late, patient] = await started(ask(batcher, 2, seconds=0.01), ask(batcher, 3))
        model.go_on.set()

        assert await first == [1]
        assert await patient == [3]
        with pytest.raises(Refused, match="expired") as refused:
            await late
        assert refused.value.status == 503
        assert model.batches == [1, 1]

    asyncio.run(story())


def test_a_full_queue_is_refused_at_once_and_its_places_come_back() -> None:
    batcher = batcher_of(Sums(), queue=2)

    with batcher.place(), batcher.place(), pytest.raises(Refused, match="busy") as refused, batcher.place():
        pass

    assert refused.value.status == 503
    with batcher.place(), batcher.place():
        pass


def test_what_is_cancelled_is_refused_and_does_not_hinder_the_others() -> None:
    async def held(batcher: Batcher) -> list[int]:
        with batcher.place():
            return await ask(batcher, 2)

    async def story() -> None:
        model = Sums()
        batcher = batcher_of(model, queue=1)
        [first] = await started(ask(batcher, 1))
        [cancelled, other] = await started(held(batcher), ask(batcher, 3))
        cancelled.cancel()

        with pytest.raises(Refused, match="the server is stopping, and its grace period is over"):
            await cancelled
        model.go_on.set()
        assert await asyncio.gather(first, other) == [[1], [3]]
        assert model.batches == [1, 1]
        with batcher.place():
            pass

    asyncio.run(story())


def test_a_run_that_fails_fails_for_all_in_it_and_the_next_one_runs() -> None:
    async def story() -> None:
        model = Sums()
        model.go_on.set()
        batcher = batcher_of(model)
        deadline = asyncio.get_running_loop().time() + 10
        flat = np.zeros(3, np.uint8)  # has no second dimension to sum over

        failed = await asyncio.gather(
            *(batcher.infer(flat, ["sum"], deadline) for _ in range(2)), return_exceptions=True
        )

        assert [type(answer) for answer in failed] == [np.exceptions.AxisError] * 2
        assert await ask(batcher, 5) == [5]

    asyncio.run(story())
