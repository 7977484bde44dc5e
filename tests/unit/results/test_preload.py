"""What a worker loads before its first study."""

import subprocess
import sys

LOADED = """
from highdicom._standard_utils import get_module_attribute_map
from node.results.preload import load_tables

assert get_module_attribute_map.cache_info().currsize == 0
load_tables()
assert get_module_attribute_map.cache_info().currsize == 1
"""


def test_the_tables_of_the_standard_are_there_before_the_first_result() -> None:
    """In a process of its own: here other tests have loaded them."""
    subprocess.run([sys.executable, "-c", LOADED], check=True)
