"""Every dependency is used, and every import is a declared dependency."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORTED_AS = {
    "sqlalchemy": "sqlalchemy", "cel-expr-python": "cel_expr_python", "pillow": "PIL",
    "prometheus-client": "prometheus_client", "simpleitk": "SimpleITK", "scikit-image": "skimage",
    "argon2-cffi": "argon2", "python-multipart": "python_multipart", "protobuf": "google",
    "dynamic-network-architectures": "dynamic_network_architectures", "pyyaml": "yaml",
}  # fmt: skip
PLUGINS = {"pylibjpeg", "pylibjpeg-openjpeg", "pyjpegls", "python-gdcm"}
"""Decoders that pydicom finds by itself: jobs/pixels.py names one for each transfer syntax."""


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name != "test"}
    lines = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    return {re.match(r"[A-Za-z0-9_.-]+", line).group(0).lower() for line in lines} - {"isocenter"}


def imported() -> set[str]:
    found = set()
    for path in (*(ROOT / "node").rglob("*.py"), *(ROOT / "ai").rglob("*.py")):
        for one in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(one, ast.Import):
                found |= {alias.name.split(".")[0] for alias in one.names}
            elif isinstance(one, ast.ImportFrom) and one.module:
                found.add(one.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"node", "ai"}


def test_every_import_is_a_declared_dependency() -> None:
    assert imported() - {IMPORTED_AS.get(name, name) for name in declared()} == set()


def test_every_declared_dependency_is_imported() -> None:
    """torch and its company serve models that are not here yet."""
    used = imported() | PLUGINS | {"torch", "monai", "safetensors", "nibabel"}

    assert {name for name in declared() if IMPORTED_AS.get(name, name) not in used} == set()
