"""What a model with code has altered in its process, by which the next model there would find something else."""

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

LIBRARIES = (
    *("builtins", "math", "numpy", "numpy.linalg", "numpy.fft", "scipy.ndimage", "scipy.special", "skimage.measure"),
    *("SimpleITK", "torch", "torch.nn.functional"),
)
"""With whose functions models compute; beside them all of `ai`."""
OURS = "ai."
SWITCHES = (
    *("torch.are_deterministic_algorithms_enabled", "torch.get_float32_matmul_precision"),
    *("torch.backends.cudnn.enabled", "torch.backends.cudnn.benchmark", "torch.backends.cudnn.deterministic"),
    "torch.backends.cudnn.allow_tf32",
)
"""Of torch, for the whole process; threads, kind and device of numbers are settled before each network computes."""


class Altered:
    """What the process is like before models predict, and how it differs since."""

    def __init__(self) -> None:
        self._known = dict(_present())

    def words(self) -> str:
        """What is no longer as it was, in words; empty where nothing is. What is there for the first time, as in a
        library that was just loaded, is taken for what it should be."""
        altered = sorted(name for name, value in _present() if _differ(self._known.setdefault(name, value), value))
        return f"its process has another {', '.join(altered[:3])} than before" if altered else ""


def _differ(one: object, other: object) -> bool:
    """Functions are compared by what they are, settings by what they say."""
    return one is not other if callable(one) or callable(other) else one != other


def _present() -> Iterator[tuple[str, object]]:
    yield from (("working directory", Path.cwd()), ("umask", _umask()))
    yield from ((f"environment variable {name}", value) for name, value in os.environ.items())
    yield "filter of warnings", any(one[0] == "error" and one[2] is Warning for one in warnings.filters)
    for name, module in list(sys.modules.items()):
        if name in LIBRARIES or name.startswith(OURS):
            yield from ((f"{name}.{key}", one) for key, one in list(vars(module).items()) if callable(one))
    if "torch" in sys.modules:
        yield from ((f"setting {name}", _switch(name)) for name in SWITCHES)


def _switch(name: str) -> object:
    found: object = sys.modules["torch"]
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    return found() if callable(found) else found


def _umask() -> str:
    """The system tells it; asking Python for it would set another meanwhile."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line for line in lines if line.startswith("Umask:"))
