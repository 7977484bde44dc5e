"""Nobody waits for what he does not need: which libraries each command and each process of the node does without."""

import subprocess
import sys

import pytest

HEAVY = ("sqlalchemy", "dbos", "pydicom", "numpy", "highdicom", "fastapi", "torch", "SimpleITK", "pydantic")
SPARED = {
    "node.cli.app": HEAVY,
    "node.service.supervisor": tuple(one for one in HEAVY if one != "pydantic"),
    "node.cli.queries": ("alembic", "dbos", "pydicom", "numpy", "fastapi"),
    "node.intake.listener": ("sqlalchemy", "dbos", "highdicom", "fastapi", "torch", "SimpleITK", "scipy"),
    "node.service.serving": ("highdicom", "pydicom.sr", "torch", "SimpleITK", "scipy", "matplotlib", "skimage"),
    "node.service.cpu_worker": ("alembic", "fastapi", "torch", "SimpleITK", "scipy", "matplotlib", "skimage"),
    "node.service.model_worker": ("alembic", "pydicom", "highdicom", "fastapi", "PIL", "torch", "SimpleITK", "scipy"),
}
"""By module: the commands, and what each process runs. What the supervisor and a receiver do not load, no C-ECHO waits
for; of the others each loads its own alone, and what filters images at its first use."""


@pytest.mark.parametrize("module", SPARED)
def test_nothing_is_loaded_that_is_not_needed(module: str) -> None:
    program = f"import sys, {module}; print(*(one for one in {SPARED[module]!r} if one in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert loaded.split() == []
