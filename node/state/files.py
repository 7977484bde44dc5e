"""Files that somebody named, by a folder or by themselves."""

import os
from pathlib import Path


def files_below(path: Path) -> tuple[list[Path], list[OSError]]:
    """Every file of a folder and of those in it, in order, or the one file; and which folders could not be read."""
    if not path.is_dir():
        return [path], []
    closed: list[OSError] = []
    found = (Path(folder) / name for folder, _, names in os.walk(path, onerror=closed.append) for name in names)
    return sorted(one for one in found if one.is_file()), closed


def unread(error: OSError) -> str:
    """Why a file or folder is left out, in words."""
    return f"it cannot be read: {error.strerror}"
