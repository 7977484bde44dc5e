"""The conformance statement says what the code does."""

import re

from tests.house import conformance


def test_its_tables_are_the_codes() -> None:
    """`python -m tests.house.conformance` mends them."""
    page = conformance.PAGE.read_text(encoding="utf-8")

    assert set(re.findall(r"<!-- (\w+) -->", page)) == set(conformance.PARTS)
    assert page == conformance.with_parts(page)
