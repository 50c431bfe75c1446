"""The colours of all pages and figures."""

from __future__ import annotations

# By name: as drawn, on light paper, and on a dark screen. Lines have a contrast of at least 3 to 1 with the paper, text
# of 4.5 to 1 (WCAG 2.2, AA). The hues are those of Okabe and Ito, "Color Universal Design" (2008), darkened.
COLORS = {
    "paper": ("#ffffff", "#15181c"),
    "ink": ("#1a1d21", "#e9ebee"),
    "muted": ("#5d6570", "#a6aeb8"),
    "grid": ("#dde1e6", "#343a42"),
    "blue": ("#0069a8", "#5db8f0"),
    "vermilion": ("#c04e00", "#ff9559"),
    "green": ("#007f5c", "#3ccfa0"),
    "purple": ("#a3407d", "#e6a1ca"),
    "gold": ("#8a6100", "#e6b422"),
}
