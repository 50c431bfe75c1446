"""The numbers in the page and in report.md, each taken from report.json by its JSON pointer (RFC 6901)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from markupsafe import Markup
from rich.filesize import decimal

from compress.durations import duration
from compress.report.schema import Report

Kind = Literal["count", "percent", "points", "ms", "bytes", "seconds", "times", "signed", "short"]


def percent(value: float, decimals: int = 1) -> str:
    """Return a fraction in percent."""
    return f"{100 * value:.{decimals}f} %"


def decimals_of(low: float, high: float) -> int:
    """Return how many decimals of a percentage its interval, of fractions, warrants: none above 10 points."""
    return 0 if high - low > 0.1 else 1 if high - low > 0.005 else 2


def milliseconds(value: float) -> str:
    """Return a time of three digits in milliseconds."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f} ms"


def times(value: float) -> str:
    """Return a ratio with two digits below ten, and whole above."""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


FORMATS: Mapping[str, Callable[[Any], str]] = {
    "count": lambda value: f"{value:,}",
    "percent": percent,
    "points": lambda value: f"{abs(value):.1f}",
    "ms": milliseconds,
    "bytes": decimal,
    "seconds": duration,
    "times": times,
    "short": lambda value: f"{value:,.4g}",
    "signed": lambda value: f"{round(value, 1) + 0.0:.1f}",  # not -0.0
}


class Numbers:
    """The numbers of a report as text, or as elements of HTML that say which key they are of.

    A ratio is that of two keys.
    """

    def __init__(self, report: Report, html: bool) -> None:
        self.values, self.html = report.model_dump(mode="json"), html

    def __call__(self, pointer: str, kind: Kind = "count", absent: str = "-") -> str:
        """Return a number; `absent` for one that the report does not have."""
        value = self.at(pointer)
        return absent if value is None else self._shown(FORMATS[kind](value), pointer, value)

    def accuracy(self, pointer: str, interval: str) -> str:
        """Return a fraction in percent, with as many digits as its interval warrants."""
        value, bounds = self.at(pointer), self.at(interval)
        return "-" if value is None else self._shown(percent(value, decimals_of(*bounds)), pointer, value)

    def interval(self, pointer: str, kind: Literal["percent", "points"] = "percent") -> str:
        """Return the two ends of an interval."""
        bounds = self.at(pointer)
        if bounds is None:
            return "-"
        decimals = decimals_of(*bounds)
        texts = [f"{100 * bound:.{decimals}f}" if kind == "percent" else FORMATS["signed"](bound) for bound in bounds]
        low, high = (self._shown(text, f"{pointer}/{i}", bounds[i]) for i, text in enumerate(texts))
        return _joined(low, " to ", high, " %" if kind == "percent" else " points")

    def ratio(self, first: str, second: str) -> str:
        """Return how many times the second number the first one is."""
        value = self.at(first) / self.at(second)
        return self._shown(times(value), f"{first} {second}", value)

    def length(self, pointer: str) -> str:
        """Return how many values a list has."""
        values = self.at(pointer)
        return self._shown(f"{len(values):,}", f"{pointer} length", len(values))

    def at(self, pointer: str) -> Any:
        """Return the value that a pointer leads to, None if it leads into None; raises `KeyError` or `IndexError`."""
        value: Any = self.values
        for part in pointer.split("/")[1:]:
            if value is None:
                return None
            key = part.replace("~1", "/").replace("~0", "~")
            value = value[int(key)] if isinstance(value, list) else value[key]
        return value

    def _shown(self, text: str, pointer: str, value: Any) -> str:
        if not self.html:
            return text
        return Markup('<data value="{}" data-key="{}">{}</data>').format(value, pointer, text)


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer of a path of keys and indices."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def sentence(report: Report, number: Numbers, latency_of: Callable[[str], str]) -> str:
    """Return in words how much faster, smaller and less accurate the deployed model is than its teacher."""
    if report.deployed == report.teacher.id:
        return "The teacher itself is deployed: it is the fastest of the models that are accurate enough."
    best = report.deployed_model
    at, teacher = (pointer("models", i) for i in (report.models.index(best), 0))

    def compared(more: str, less: str, alike: str, first: str, second: str) -> str:
        """Say how many times faster or smaller it is than the teacher; alike, if that would read 1.0."""
        ratio = number.at(first) / number.at(second)
        if times(max(ratio, 1 / ratio)) == "1.0":
            return alike
        pair, word = ((first, second), more) if ratio > 1 else ((second, first), less)
        return _joined(number.ratio(*pair), f" times {word}")

    taken = [f"{latency_of(name)}/p50_ms" for name in (report.teacher.id, best.id)]
    speed = compared("faster", "slower", "as fast", *taken)
    size = compared("smaller", "larger", "as large", f"{teacher}/size_bytes", f"{at}/size_bytes")
    both = _joined(speed, " and ", size, " than the teacher")
    if "as fast" in speed or "as large" in size:
        both = _joined("Compared with the teacher: ", speed, ", ", size)
    drop = f"{at}/test/drop_vs_teacher"
    is_less = best.test.drop_vs_teacher > 0
    points = _joined(number(drop, "points"), f" points {'less' if is_less else 'more'} accurate")
    if FORMATS["points"](best.test.drop_vs_teacher) == "0.0":
        points = "as accurate"
    interval = number.interval(f"{at}/test/vs_teacher/drop_ci95", "points")
    what = _joined(" (95 % interval of the drop: ", interval, ") on ", number("/run/n_test"), " test images.")
    return _joined(both, ", ", points, what)


def _joined(*parts: str) -> str:
    return Markup("").join(parts) if any(isinstance(part, Markup) for part in parts) else "".join(parts)
