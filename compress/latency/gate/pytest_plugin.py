"""pytest plugin: the fixture `latency_gate` fails a test where a model got slower than its baseline."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

REPORTED: pytest.StashKey[list[Any]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the gate."""
    group = parser.getgroup("latency", "latency of ONNX models, against their baselines")
    group.addoption("--latency-baseline", metavar="FOLDER", help="The baselines, where a test names none.")
    group.addoption("--latency-report", metavar="FILE", help="Write all results and raw samples as JSON.")
    group.addoption("--latency-update", action="store_true", help="Make the candidates the baselines; checks nothing.")


@pytest.fixture
def latency_gate(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Return a function of a candidate, its `baseline` (else --latency-baseline) and `max_regression`.

    Candidate and baseline are as `python -m compress check` takes them. The test fails where the candidate is slower by
    more than `max_regression`, and is skipped where the machine is too noisy to tell; ratio and interval are properties
    of the test in JUnit files.
    """
    from compress.latency.gate import baselines, reports
    from compress.latency.gate.check import Settings, check, models_of
    from compress.latency.model_files import name_and_file

    if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
        raise pytest.UsageError("latency_gate: other workers disturb it; run these tests without -n, or with -n 1")

    def gate(
        candidate: str | Path, baseline: str | Path | None = None, max_regression: float = Settings.margin
    ) -> None:
        chosen = baseline or request.config.getoption("--latency-baseline")
        if chosen is None:
            raise pytest.UsageError("latency_gate: takes a baseline, or --latency-baseline")
        if request.config.getoption("--latency-update"):
            baselines.update(Path(chosen), *name_and_file(Path(candidate)))
            return
        settings = replace(Settings(), margin=max_regression)
        [checked] = check(models_of([Path(candidate)], Path(chosen)), settings)
        request.config.stash.setdefault(REPORTED, []).append((checked, settings))
        for name, value in reports.properties(checked.verdict).items():
            record_property(name, value)
        said = f"{checked.verdict.why}: {checked.verdict}" if checked.verdict.why else str(checked.verdict)
        if checked.verdict.outcome == "regression":
            pytest.fail(said, pytrace=False)
        if checked.verdict.outcome == "inconclusive":
            pytest.skip(said)

    return gate


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report, where one was asked for."""
    file = session.config.getoption("--latency-report")
    if file:
        from compress.latency.gate import reports
        from compress.latency.report_files import to_json, write_report

        checks = [reports.as_json([one], {}, settings) for one, settings in session.config.stash.get(REPORTED, [])]
        write_report("--latency-report", Path(file), to_json({"checks": checks}))
