"""A bundle in the layouts of other servers and hubs, written on request: one module a format."""

from __future__ import annotations

from typing import Literal

Format = Literal["triton", "huggingface", "mlflow", "docker"]
