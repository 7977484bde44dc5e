"""What the pages that edit the configuration share: forms as values of a table, and what is said of them."""

from typing import Annotated

from pydantic import Field

from node.admin.window import Window
from node.editing import Kind, Values
from node.errors import IsocenterError

Short = Annotated[str, Field(max_length=64)]
Long = Annotated[str, Field(max_length=300)]
Lines = Annotated[str, Field(max_length=2000)]
"""What a field of a form may hold. Lines: one value each."""

SAVED = {
    "saved": "Saved; the node takes it up within seconds. The file as it was is kept beside it.",
    "pause": "It is paused: what runs goes on, what comes waits.",
    "resume": "It goes on with what waited.",
}
"""What is said after a change."""


def each_line(text: str) -> list[str]:
    """The values of a field that takes one a line."""
    return [one.strip() for one in text.splitlines() if one.strip()]


def fault_of(window: Window, kind: Kind, name: str, values: Values, seen: str) -> str:
    """Why a table could not be saved so, in words; empty where it could. name: of the table; empty: a new one. seen:
    the mark of what the form was filled from."""
    try:
        if name:
            window.editor.would_change(kind, name, values, seen=seen)
        else:
            window.editor.would_add(kind, values)
    except IsocenterError as error:
        return str(error).replace(f"{window.config_folder}/", "").replace("\n", "; ")
    return ""
