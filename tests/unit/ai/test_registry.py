"""Models in other people's modules: one that cannot be used is told, and keeps none of the others from their work."""

from pathlib import Path

import pytest

from ai.errors import CardInvalid
from ai.registry import find_model
from node.jobs.catalogue import installed_models
from tests.makers.installed import DOING, installed_model

STRANGE = {
    "raises": ("raise ValueError('no licence server')", "cannot be imported: ValueError: no licence server"),
    "exits": ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
    "unwritten": ("def (", "cannot be imported: SyntaxError"),
    "unfound": ("open('/nowhere/weights')", "cannot be imported: FileNotFoundError"),
    "mute": ("class Quiet(Exception):\n    pass\nraise Quiet", "cannot be imported: Quiet"),
    "carded": (
        "from pathlib import Path\nfrom ai.card import read_card\nread_card(Path('/nowhere/card.toml'))",
        "as TOML",
    ),
    "modelless": ("MODEL = 3", "is no model: it needs a card"),
    "nameless": (
        DOING.replace("{does}", "pass") + "\nfrom dataclasses import replace\nMODEL.card = "
        "replace(MODEL.card, name='another')\n",
        "its card says name = 'another'",
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_module_that_gives_no_model_is_told_and_the_others_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source, words = STRANGE[name]
    told: dict[str, str] = {}
    with installed_model(tmp_path, f"strange{name}", source):
        monkeypatch.syspath_prepend(tmp_path)

        with pytest.raises(CardInvalid, match=words):
            find_model(f"strange{name}")
        found = installed_models(unusable=lambda one, error: told.update({one: str(error)}))

    assert "lung-ct" in found
    assert list(told) == [f"strange{name}"]
