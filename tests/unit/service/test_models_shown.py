"""What the window is told of a model: of a bundle also whose trust it has, as it is now."""

import json
from pathlib import Path

from ai.models.lung_ct import MODEL as LUNGS
from ai.networks.model import NetworkModel
from node.service.window import shown
from tests.makers.bundles import configuration, write_bundle

BEYOND = {**configuration(), "pixdim": "$[2.0 for _ in range(3)]"}


def test_a_bundle_says_whether_it_needs_trust_and_who_gave_it(tmp_path: Path) -> None:
    plain = write_bundle(tmp_path / "plain")
    asking = write_bundle(tmp_path / "asking", BEYOND)
    trusted = write_bundle(tmp_path / "trusted", BEYOND, trusted=True)
    card = trusted / "card.toml"
    card.write_text(card.read_text().replace("trusted = ", 'trusted_by = "A. Physicist, 2026-11-02"\ntrusted = '))

    assert shown(NetworkModel(plain)).trusted == "not needed"
    assert shown(NetworkModel(asking)).trusted.startswith("NO, and it needs it: isocenter models trust (")
    assert shown(NetworkModel(trusted)).trusted == "by A. Physicist, 2026-11-02, for its configuration as it is now"


def test_trust_is_lost_with_a_change_and_a_broken_configuration_says_so(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "spleen", BEYOND, trusted=True)
    model, file = NetworkModel(folder), folder / "configs" / "inference.json"
    file.write_text(json.dumps({**BEYOND, "more": 1}))
    changed = shown(model).trusted
    file.write_text("{")

    assert changed.startswith("NO, and it needs it")
    assert str(file) in shown(model).trusted


def test_a_model_that_is_no_bundle_has_nothing_to_say_of_trust() -> None:
    assert shown(LUNGS).trusted == ""
