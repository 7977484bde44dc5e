"""Arrays as SimpleITK images and back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Values = npt.NDArray[np.float32]
Spacing = tuple[float, float, float]


class _Itk:
    """SimpleITK, loaded at its first use: whoever reads a card knows every step, and most processes never take one."""

    def __getattr__(self, name: str) -> Any:
        import SimpleITK

        return getattr(SimpleITK, name)


itk: Any = _Itk()
"""It declares no types."""


def import_itk() -> None:
    """Load it before the first study waits for it."""
    import SimpleITK  # noqa: F401


def image_of(array: Array, spacing_mm: Spacing | None = None) -> Any:
    """A SimpleITK image of (slices, rows, columns); 2D where there is one slice, bool as unsigned 8 bit."""
    values = np.ascontiguousarray(array[0] if array.shape[0] == 1 else array)
    image = itk.GetImageFromArray(values.view(np.uint8) if values.dtype == np.bool_ else values)
    if spacing_mm is not None:
        image.SetSpacing(spacing_mm[::-1][: image.GetDimension()])
    return image


def array_of(image: Any) -> Array:
    """(slices, rows, columns) of a SimpleITK image; a 2D one becomes one slice."""
    array: Array = itk.GetArrayFromImage(image)
    return array[None] if array.ndim == 2 else array


def filtered(values: Array, spacing_mm: Spacing | None, call: Callable[[Any], Any]) -> Values:
    """What a filter of SimpleITK makes of the values, as float32."""
    return array_of(call(image_of(values, spacing_mm))).astype(np.float32, copy=False)


def along(triple: tuple[float, ...] | tuple[int, ...], image: Any) -> list[Any]:
    """(slices, rows, columns) in SimpleITK's order, as many as the image has axes."""
    return list(triple[::-1][: image.GetDimension()])


@contextmanager
def bounded_threads(count: int) -> Iterator[None]:
    """Let SimpleITK use so many threads while inside."""
    before = itk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    itk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
    try:
        yield
    finally:
        itk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
