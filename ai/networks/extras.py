"""What networks need beside Isocenter itself: which extra each kind is opened with, and how it is installed."""

from importlib.util import find_spec

from ai.errors import CardInvalid
from ai.networks.declared import Kind

_TORCH = ("torch", "monai", "safetensors")
EXTRAS = {
    "torch": _TORCH,
    "onnx": (*_TORCH, "onnx", "onnxruntime"),
    "nnunet": (*_TORCH, "dynamic_network_architectures"),
}
"""What each extra of pyproject.toml brings, as it is imported."""


def extra_of(kind: Kind) -> str:
    """The extra without which a network of this kind is not opened."""
    return kind.value if kind in (Kind.ONNX, Kind.NNUNET) else "torch"


def lacking(extra: str) -> str:
    """What is not installed of an extra and what to do, in words; empty where all of it is there."""
    absent = [name for name in EXTRAS[extra] if find_spec(name) is None]
    if not absent:
        return ""
    return (
        f"it needs the extra `{extra}`, of which {', '.join(absent)} cannot be found: in Isocenter's folder, "
        f"`.venv/bin/pip install --constraint constraints.txt --editable '.[{extra}]'` (docs/operate/install.md)"
    )


def require(extra: str, what: str) -> None:
    """Raises CardInvalid where an extra is not installed. what: needs it."""
    if words := lacking(extra):
        raise CardInvalid(f"{what}: {words}")
