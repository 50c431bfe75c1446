"""Which provider runs which nodes of a model."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any


def nodes_by_provider(profile: Path) -> dict[str, int]:
    """Return how many nodes each provider ran, from onnxruntime's profile of a session.

    It counts the nodes that are left after onnxruntime has fused and folded what it can.
    """
    events: list[dict[str, Any]] = json.loads(profile.read_bytes())
    runs = [event for event in events if event.get("cat") == "Node" and "provider" in event["args"]]
    # a set, because nodes in a loop run many times
    nodes = {(run["args"]["provider"], run["name"], run["args"].get("node_index")) for run in runs}
    return dict(Counter(provider for provider, *_ in nodes).most_common())
