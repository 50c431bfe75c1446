"""A pytest plugin: the fixture `latency_gate` fails a test if a model got slower than its baseline."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

REPORTED: pytest.StashKey[list[dict[str, Any]]] = pytest.StashKey()  # what checks found, as plain JSON values
WORKER_OUTPUT = "latency"  # the key of the same list in what a worker of pytest-xdist hands over


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the gate's options to pytest."""
    group = parser.getgroup("latency", "latency of ONNX models compared with their baselines")
    group.addoption("--latency-baseline", metavar="FOLDER", help="Baselines for tests that name none.")
    group.addoption("--latency-report", metavar="FILE", help="Write all results and raw samples as JSON.")
    group.addoption("--latency-update", action="store_true", help="Make the candidates the baselines; check nothing.")


@pytest.fixture
def latency_gate(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Return the function `gate(candidate, baseline=None, max_regression=0.05, shapes=None, inputs=None)`.

    It compares two models, given as for `python -m compress check`; the baseline defaults to --latency-baseline.
    `shapes={name: shape}` and `inputs`, a .npz file, state what --shape and --inputs do. The test fails if the
    candidate is slower by more than `max_regression`, and is skipped if the machine is too noisy to tell. In JUnit
    files, ratio and interval are properties of the test.
    """
    from compress.latency.gate import baselines, reports
    from compress.latency.gate.check import Settings, check, models_of
    from compress.latency.given import Given
    from compress.latency.inputs import describe
    from compress.latency.model_files import name_and_file

    if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
        raise pytest.UsageError("latency_gate: other workers disturb it; run these tests without -n, or with -n 1")

    def gate(
        candidate: str | Path,
        baseline: str | Path | None = None,
        max_regression: float = Settings.margin,
        shapes: Mapping[str, Sequence[int]] | None = None,
        inputs: str | Path | None = None,
    ) -> None:
        chosen = baseline or request.config.getoption("--latency-baseline")
        if chosen is None:
            raise pytest.UsageError("latency_gate: needs a baseline, as an argument or by --latency-baseline")
        if request.config.getoption("--latency-update"):
            baselines.update(Path(chosen), *name_and_file(Path(candidate)))
            return
        given = Given({name: tuple(shape) for name, shape in (shapes or {}).items()}, str(inputs or ""))
        settings = replace(Settings(), margin=max_regression, given=given)
        [checked] = check(models_of([Path(candidate)], Path(chosen), given), settings)
        request.config.stash.setdefault(REPORTED, []).append(reports.as_json([checked], {}, settings))
        # not by pytest's fixture record_property, which warns if the JUnit file is of the family xunit2
        request.node.user_properties += reports.properties(checked.verdict).items()
        if checked.first:
            print(f"{checked.model.name}: fed {describe(checked.first[0].fed)}")
        message = f"{checked.verdict.why}: {checked.verdict}" if checked.verdict.why else str(checked.verdict)
        if checked.verdict.outcome == "regression":
            pytest.fail(message, pytrace=False)
        if checked.verdict.outcome == "inconclusive":
            pytest.skip(message)

    return gate


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep the results that a worker of pytest-xdist hands over when it ends."""
    results = json.loads(getattr(node, "workeroutput", {}).get(WORKER_OUTPUT, "[]"))
    node.config.stash.setdefault(REPORTED, []).extend(results)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report if --latency-report is given; a worker of pytest-xdist hands it over instead."""
    file = session.config.getoption("--latency-report")
    results = session.config.stash.get(REPORTED, [])
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[WORKER_OUTPUT] = json.dumps(results)
    elif file:
        from compress.latency.report_files import to_json, write_report

        write_report("--latency-report", Path(file), to_json({"checks": results}))
