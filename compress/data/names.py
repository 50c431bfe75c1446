"""When two names are the same and when they only look it: names of classes, splits, columns and groups."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compress.artifacts import Split

NAMED = 3  # groups of names in a line

# Besides what Python counts as space: the spaces of no width, the last of which editors write before a text
OUTER_SPACE = re.compile(r"^[\s\u200b\u2060\ufeff]+|[\s\u200b\u2060\ufeff]+$")
BREAKS_LINES = ("Cc", "Zl", "Zp")  # Unicode's categories of control characters and of line and paragraph separators
INVISIBLE = ("Cf", "Zs")  # joiners, marks of direction and spaces
TAGS = range(0xE0000, 0xE0080)  # invisible, but they tell flags such as those of England and Scotland apart
SELECTORS = range(0xFE00, 0xFE10)  # choose between a character's looks, such as text and emoji
BETWEEN_WORDS = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
SPLIT_NAME = re.compile(
    r"(?:(?:data|images?|imgs?|seg)[\s_.-]*)?"
    r"(?:(?P<train>train(?:ing)?)|(?P<validation>val(?:id(?:ation)?)?|dev)|(?P<test>test(?:ing)?))"
    r"(?:[\s_.-]*(?:data|images?|imgs?|split|folder))?(?:[\s_.-]*sets?)?"
)
NAMES_A_SPLIT = re.compile(r"(?:^|[\W_])(?i:(train)(?:ing)?|(test)(?:ing)?|(val)(?:id(?:ation)?)?)(?=$|[\W_\dA-Z])")
MISSING = ("nan", "nat", "null", "n/a", "#n/a", "<na>", "undefined")  # as programs write a missing value


def canonical(name: str) -> str:
    """Return the form in which names are compared and kept: NFC (Unicode Standard Annex 15), without outer spaces."""
    return stripped(unicodedata.normalize("NFC", name))


def stripped(text: str) -> str:
    """Return a text without the spaces around it, those of no width included."""
    return OUTER_SPACE.sub("", text)


def is_class_name(name: str) -> bool:
    """Tell whether a canonical name can be a line of labels.txt: UTF-8, one line, and something to see in it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    categories = {unicodedata.category(character) for character in name}
    return categories.isdisjoint(BREAKS_LINES) and not categories <= {*INVISIBLE}


def split_of(name: str) -> Split | None:
    """Return the split that a folder or a value of a table means, such as `Training Data` or `test_set`, else None."""
    found = SPLIT_NAME.fullmatch(canonical(name).casefold())
    return found.lastgroup if found else None  # type: ignore[return-value]  # the groups are named after the splits


def name_splits(names: Sequence[str]) -> bool:
    """Tell whether all names mention a split, but not all the same, as trainA, trainB and testA do."""
    found = [NAMES_A_SPLIT.search(canonical(name)) for name in names]
    return all(found) and len({match.lastindex for match in found if match}) > 1


def spellings(names: Iterable[str]) -> list[str]:
    """Return a line that says so if names that are the same are spelt in more than one way."""
    found = _grouped(names, canonical)
    return [f"names taken for one, as only spaces or Unicode forms differ: {_listed(found, ascii)}"] if found else []


def slips(names: Collection[str]) -> list[str]:
    """Return lines on names of classes that are likely slips: nearly those of others, or those of missing values."""
    lines = [f"a class is named {name!r}, as missing values are" for name in names if name.casefold() in MISSING]
    if found := _grouped(names, _likeness):
        lines.append(
            f"classes with nearly the same name: {_listed(found, repr)}; if two are one class, give them one name"
        )
    return lines


def _listed(groups: Sequence[Sequence[str]], shown: Callable[[str], str]) -> str:
    more = f"; and {len(groups) - NAMED:,} more" if len(groups) > NAMED else ""
    return "; ".join(" and ".join(map(shown, group)) for group in groups[:NAMED]) + more


def _grouped(names: Iterable[str], key: Callable[[str], str]) -> list[list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in set(names):
        groups[key(name)].append(name)
    return [sorted(group) for _, group in sorted(groups.items()) if len(group) > 1]


def _likeness(name: str) -> str:
    """Return the same text for names that differ in case, width, inner spaces, joiners, leading zeros or a last dot."""
    text = unicodedata.normalize("NFKC", name).casefold()
    seen = "".join(c for c in text if ord(c) in TAGS or not (unicodedata.category(c) == "Cf" or ord(c) in SELECTORS))
    words = canonical(BETWEEN_WORDS.sub(" ", seen).rstrip("."))
    return words.lstrip("0") or "0" if words.isdecimal() else words
