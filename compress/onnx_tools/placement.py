"""Which provider runs which nodes of a model."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any


def node_events(profile: Path) -> list[dict[str, Any]]:
    """Return the runs of nodes in onnxruntime's profile of a session, in order.

    The nodes are those that are left after onnxruntime has fused and folded what it can.
    """
    text = profile.read_bytes().decode("utf-8", "surrogateescape")  # names in a model may hold any bytes
    events: list[dict[str, Any]] = json.loads(text)
    return [event for event in events if event.get("cat") == "Node" and "provider" in event["args"]]


def node_of(event: dict[str, Any]) -> tuple[str, str, str | None]:
    """Return what tells the node of an event from others: its provider, the event's name, its index in its graph."""
    return event["args"]["provider"], event["name"], event["args"].get("node_index")


def nodes_by_provider(profile: Path) -> dict[str, int]:
    """Return how many nodes each provider ran, from onnxruntime's profile of a session."""
    nodes = set(map(node_of, node_events(profile)))  # a set, because nodes in a loop run many times
    return dict(Counter(provider for provider, *_ in nodes).most_common())
