"""A command waits for nothing that it does not need: help, serve and others start in a moment."""

import subprocess
import sys

HEAVY = ("sqlalchemy", "dbos", "pydicom", "numpy", "highdicom", "fastapi", "torch", "SimpleITK", "pydantic")


def test_the_command_line_loads_no_heavy_library_before_a_command_runs() -> None:
    program = f"import sys, node.cli.app; print(*(one for one in {HEAVY!r} if one in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert loaded.split() == []


def test_the_supervisor_loads_neither_database_nor_images() -> None:
    """It starts and watches the others; what it does not load, no C-ECHO waits for."""
    program = f"import sys, node.service.supervisor; print(*(one for one in {HEAVY!r} if one in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert set(loaded.split()) <= {"pydantic"}
