"""The licence identifiers of the Hugging Face Hub, which knows fewer than SPDX and spells some of them differently."""

from __future__ import annotations

# fmt: off
HUB = frozenset((  # huggingface.co/docs/hub/repositories-licenses (August 2026), those that are SPDX's in small letters
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear",
    "bsl-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
    "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0",
    "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "eupl-1.2", "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1",
    "lgpl-3.0", "lppl-1.3c", "mit", "mpl-2.0", "ms-pl", "ncsa", "ofl-1.1", "openmdw-1.0", "openmdw-1.1", "osl-3.0",
    "postgresql", "unlicense", "wtfpl", "zlib",
))
# fmt: on
SPELLED = {"c-uda-1.0": "c-uda", "odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl", "lgpllr": "lgpl-lr"}
SPELLED |= {f"gfdl-1.{minor}": "gfdl" for minor in (1, 2, 3)}
OTHER = "other"


def hub_license(license_id: str) -> str:
    """Return the Hub's identifier for an SPDX identifier, or `other` if it has none."""
    name = license_id.lower()
    for ending in ("-only", "-or-later", "-no-invariants", "-invariants"):  # of GNU, which the Hub has by version alone
        name = name.removesuffix(ending)
    return SPELLED.get(name, name if name in HUB else OTHER)
