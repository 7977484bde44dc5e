"""The page on preparation says what the code does, and its examples are cards that work."""

import re
import tomllib

from ai.postprocessing.table import FINISHING
from ai.preparation.table import PREPARATION
from ai.step import read_chain
from tests.house import steps


def test_its_tables_are_the_codes() -> None:
    """`python -m tests.house.steps` mends them."""
    page = steps.PAGE.read_text(encoding="utf-8")

    assert set(re.findall(r"<!-- (\w+) -->", page)) == set(steps.PARTS)
    assert page == steps.with_parts(page)


def test_its_examples_can_be_read() -> None:
    page = steps.PAGE.read_text(encoding="utf-8")
    examples = [tomllib.loads(one) for one in re.findall(r"```toml\n(.*?)```", page, re.S)]

    assert examples
    for one in examples:
        read_chain(one.get("prepare", []), PREPARATION, where="prepare", inputs=("ct", "pet"), reference="ct")
        read_chain(one.get("finish", []), FINISHING, where="finish")
