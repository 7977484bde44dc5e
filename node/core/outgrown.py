"""Whether a model worker holds so much more than once it had settled that a new one should take its place."""

ALWAYS_ALLOWED_MB = 1024
"""Studies differ in size, and libraries keep some of what they had."""
FILES_PART = 2
"""Of the files that a process may have open, half: the other half is for the work."""


def outgrown(*, settled_mb: int, held_mb: int, declared_mb: int) -> str:
    """Why, in words; empty where it may go on. declared_mb: what the card of the model says that it needs."""
    grown_mb = held_mb - settled_mb
    if grown_mb > max(declared_mb, ALWAYS_ALLOWED_MB):
        return (
            f"its process holds {held_mb} MB, {grown_mb} MB more than once it had settled, and the card says "
            f"memory_mb = {declared_mb}"
        )
    return ""


def crowded(*, files: int, files_limit: int) -> str:
    """Why a new one should take its place, where so many files are open that there may be too few left for the work."""
    if files > files_limit // FILES_PART:
        return f"its process has {files} files open and may have {files_limit}"
    return ""
