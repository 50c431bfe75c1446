"""The choice of a calibrator, and how much int8 models are compared on."""

from __future__ import annotations

from compress.plugins import Choice

JUDGED = 500  # validation images, at most, on which calibrators, layers and processors are compared


class Calibrator(Choice):
    """A way to find the range of activations."""

    package, entry = "compress.quantization.calibrators", "ranges"
    name: str = "minmax"

    @property
    def told(self) -> str:
        """The name, with the options that are set."""
        options = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name} ({options})" if options else self.name
