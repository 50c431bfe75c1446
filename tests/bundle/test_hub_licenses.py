from __future__ import annotations

import pytest

from compress.bundle.hub_licenses import hub_license


@pytest.mark.parametrize(
    ("spdx", "expected"),
    [
        ("MIT", "mit"),
        ("Apache-2.0", "apache-2.0"),
        ("GPL-3.0-or-later", "gpl-3.0"),
        ("AGPL-3.0-only", "agpl-3.0"),
        ("ODbL-1.0", "odbl"),
        ("GFDL-1.3-no-invariants-or-later", "gfdl"),
        ("LGPLLR", "lgpl-lr"),
        ("OpenMDW-1.1", "openmdw-1.1"),
        ("EUPL-1.2", "eupl-1.2"),
        ("GPL-1.0-only", "other"),
        ("0BSD", "other"),
        ("LicenseRef-Acme", "other"),
        ("", "other"),
    ],
)
def test_a_licence_is_one_of_the_hubs_or_other(spdx: str, expected: str) -> None:
    assert hub_license(spdx) == expected
