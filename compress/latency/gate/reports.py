"""A check as files that other programs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from compress.files import sha256_file
from compress.latency.gate.check import Checked, Settings
from compress.latency.gate.limits import Limit
from compress.latency.gate.verdict import Verdict
from compress.latency.host import conditions

SCHEMA = 1


def as_json(checked: Sequence[Checked], limits: Mapping[str, Sequence[Limit]], settings: Settings) -> dict[str, Any]:
    """Return all that is known of a check, raw samples included, as plain JSON values."""
    return {
        "schema": SCHEMA,
        "host": conditions(),
        "settings": asdict(settings),
        "models": [
            {
                **asdict(one.verdict),
                "candidate": _file(one.model.candidate),
                "baseline": _file(one.model.baseline),
                "limits": [asdict(limit) for limit in limits.get(one.model.name, ())],
                "first": [asdict(samples) for samples in one.first],
                "second": [asdict(samples) for samples in one.second],
            }
            for one in checked
        ],
    }


def properties(verdict: Verdict) -> dict[str, str]:
    """Return what JUnit files say of a verdict."""
    values = {"ratio": verdict.ratio, "low": verdict.low, "high": verdict.high, "limit": verdict.limit, "p": verdict.p}
    return {name: f"{value:.6g}" for name, value in values.items() if value is not None}


def as_junit(checked: Sequence[Checked], limits: Mapping[str, Sequence[Limit]]) -> bytes:
    """Return a JUnit file: a case per verdict and per limit; what is inconclusive is skipped."""
    suite = ElementTree.Element("testsuite", name="latency")
    for one in checked:
        case = _case(suite, one.model.name, one.verdict, one.verdict.why)
        held = ElementTree.Element("properties")
        for name, value in properties(one.verdict).items():
            ElementTree.SubElement(held, "property", name=name, value=value)
        case.insert(0, held)
        for limit in limits.get(one.model.name, ()):
            _case(suite, f"{one.model.name} {limit.what}", limit, "")
    for count, tag in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
        suite.set(count, str(sum(1 for _ in suite.iter(tag))))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, "utf-8", xml_declaration=True)


def _case(suite: ElementTree.Element, name: str, judged: Verdict | Limit, why: str) -> ElementTree.Element:
    case = ElementTree.SubElement(suite, "testcase", classname="latency", name=name)
    if judged.outcome != "pass":
        tag = "failure" if judged.outcome == "regression" else "skipped"
        ElementTree.SubElement(case, tag, message=str(judged)).text = why or str(judged)
    return case


def _file(file: Path) -> dict[str, str]:
    return {"file": str(file), "sha256": sha256_file(file)}
