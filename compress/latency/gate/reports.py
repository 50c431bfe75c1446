"""The results of a check for other programs, as JSON and as JUnit XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from compress.latency.gate.check import Checked, Settings
from compress.latency.gate.limits import Limit
from compress.latency.gate.verdict import Verdict
from compress.latency.host import conditions
from compress.latency.model_files import digest

SCHEMA = 1


def as_json(checked: Sequence[Checked], limits: Mapping[str, Sequence[Limit]], settings: Settings) -> dict[str, Any]:
    """Return everything that a check found, raw samples included, as plain JSON values."""
    return {
        "schema": SCHEMA,
        "host": conditions(),
        "settings": asdict(settings),
        "models": [
            {
                **asdict(result.verdict),
                "candidate": _file(result.model.candidate),
                "baseline": _file(result.model.baseline),
                "limits": [asdict(limit) for limit in limits.get(result.model.name, ())],
                "first": [asdict(samples) for samples in result.first],
                "second": [asdict(samples) for samples in result.second],
            }
            for result in checked
        ],
    }


def properties(verdict: Verdict) -> dict[str, str]:
    """Return the properties of a verdict in JUnit files."""
    values = {"ratio": verdict.ratio, "low": verdict.low, "high": verdict.high, "limit": verdict.limit, "p": verdict.p}
    return {name: f"{value:.6g}" for name, value in values.items() if value is not None}


def as_junit(checked: Sequence[Checked], limits: Mapping[str, Sequence[Limit]]) -> bytes:
    """Return a JUnit file with one test case per verdict and per limit; inconclusive ones count as skipped."""
    suite = ElementTree.Element("testsuite", name="latency")
    for result in checked:
        case = _case(suite, result.model.name, result.verdict, result.verdict.why)
        element = ElementTree.Element("properties")
        for name, value in properties(result.verdict).items():
            ElementTree.SubElement(element, "property", name=name, value=value)
        case.insert(0, element)
        for limit in limits.get(result.model.name, ()):
            _case(suite, f"{result.model.name} {limit.what}", limit, "")
    for count, tag in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
        suite.set(count, str(sum(1 for _ in suite.iter(tag))))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, "utf-8", xml_declaration=True)


def _case(suite: ElementTree.Element, name: str, result: Verdict | Limit, why: str) -> ElementTree.Element:
    case = ElementTree.SubElement(suite, "testcase", classname="latency", name=name)
    if result.outcome != "pass":
        tag = "failure" if result.outcome == "regression" else "skipped"
        ElementTree.SubElement(case, tag, message=str(result)).text = why or str(result)
    return case


def _file(file: Path) -> dict[str, str]:
    return {"file": str(file), "sha256": digest(file)}
