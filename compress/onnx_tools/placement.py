"""Which provider runs which nodes of a model."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any


def nodes_by_provider(profile: Path) -> dict[str, int]:
    """Return how many nodes each provider ran, from onnxruntime's profile of a session.

    Counted are the nodes that are left after onnxruntime has fused and folded what it could.
    """
    events: list[dict[str, Any]] = json.loads(profile.read_bytes())
    runs = [event for event in events if event.get("cat") == "Node" and "provider" in event["args"]]
    ran = {(run["args"]["provider"], run["name"], run["args"].get("node_index")) for run in runs}  # a loop's many times
    return dict(Counter(provider for provider, *_ in ran).most_common())
