"""Files and folders among images that are none: what systems leave behind, and notes beside images."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from compress.plural import counted

# macOS, Windows, Synology, QNAP, Linux's fsck and Python, besides hidden files
LEFT_BEHIND = re.compile(
    r"\..*|__macosx|icon\r|network trash folder|temporary items"
    r"|thumbs\.db|ehthumbs(_vista)?\.db|desktop\.ini|\$recycle\.bin|system volume information|found\.\d{3}"
    r"|@eadir|@tmp|@recycle|@recently-snapshot|#recycle|#snapshot|.*@syno(eastream|resource)"
    r"|lost\+found|__pycache__"
    r"|.*zone\.identifier|.*[:\uf03a](mshield|smartscreen|encryptable|afp_afpinfo|afp_resource)",  # streams of NTFS
    re.DOTALL,
)
# Of metadata, captions, annotations, lists and links; whatever else is among images is taken for one, and named if
# it cannot be read
SIDECARS = re.compile(
    r"\.(xmp|aae|thm|pp3|dop|jsonl?|xml|txt|csv|tsv|md|html?|ini|db|log|ya?ml|toml|url|lnk|webloc|md5|sha1|sha256)"
)


def is_left_behind(name: str) -> bool:
    """Tell whether a file or folder of this name is hidden, or one that systems make of their own accord."""
    return LEFT_BEHIND.fullmatch(name.lower()) is not None


def sidecar_suffix(name: str) -> str:
    """Return the lower-case ending of a file's name if notes and metadata have it and no image should, else nothing."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  # pathlib takes many times as long, and names are many
    return suffix if SIDECARS.fullmatch(suffix) else ""


def left_out(sidecars: Mapping[str, int]) -> list[str]:
    """Return a line that counts the files of notes and metadata by their endings, if there are any."""
    if not sidecars:
        return []
    kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(sidecars.items()))
    return [f"{counted(sum(sidecars.values()), 'file is no image', 'files are no images')} and left out: {kinds}"]
