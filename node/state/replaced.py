"""Puts another text in the place of a file that people keep."""

import os
import shutil
from pathlib import Path


def replace_text(file: Path, text: str) -> None:
    """Durable when this returns; the file's mode stays, and nobody ever sees a part. Raises OSError."""
    aside = file.with_suffix(f"{file.suffix}.part")
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    if file.exists():
        shutil.copymode(file, aside)
    aside.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
