"""What docs/extend shows of cards, routes and programs is read and run as it stands there."""

import re
import runpy
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomlkit

from ai.card import read_card
from ai.device import Device
from ai.networks.cascade import read_region
from ai.networks.declared import read_network
from ai.registry import find_model
from ai.testing.samples import noise_inputs
from node.jobs.installing import install
from node.jobs.published import read_catalogue
from node.results.code_check import doubtful_codes
from node.settings import Routes

EXTEND = Path(__file__).parents[3] / "docs" / "extend"
PAGE = EXTEND / "bring-a-model.md"
CARDS = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SNIPPETS = {
    f"{page.stem} {number}": text
    for page in sorted(EXTEND.glob("*.md"))
    for number, text in enumerate(CARDS.findall(page.read_text(encoding="utf-8")), 1)
}
KEYED = ("input", "segment", "classification", "measurement", "detection", "map", "derived")
SHA256 = "0" * 64


def base(shown: str) -> dict[str, Any]:
    """The card around which a page shows a part of one; of a PET as well, where that part speaks of it."""
    whole = tomllib.loads(CARDS.findall(PAGE.read_text(encoding="utf-8"))[0])
    kept = {key: value for key, value in whole.items() if key not in ("measure", "prepare", "finish", "network")}
    kept["input"] = [{"name": "ct", "modality": "CT"}]
    kept["input"] += [{"name": "pet", "modality": "PT"}] if '"pet"' in shown else []
    finds = "classifications" if "[network.explain]" in shown else "segments"
    kept["network"] = {"kind": "torchscript", "weights": "model.ts", "sha256": SHA256, "finds": finds}
    return kept


def with_shown(card: dict[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """The card with what a page shows in place of its own, and with whatever that names and does not show."""
    found = deepcopy(card)
    for name, value in shown.items():
        if name in KEYED:
            found[name] = [*(one for one in found.get(name, ()) if _key(one) not in map(_key, value)), *value]
        elif name == "network":
            if "output" in value:
                del found["network"]["finds"]
            found["network"] |= {key: SHA256 if key == "sha256" else one for key, one in value.items()}
        else:
            found[name] = value
    _declare(found)
    return found


def _key(table: Mapping[str, Any]) -> str:
    return str(table.get("key") or table.get("name"))


def _declare(card: dict[str, Any]) -> None:
    """Tables that a part speaks of and another part of the page, or the reader's own card, has."""
    network, declared = card["network"], {name: {_key(one) for one in card.get(name, ())} for name in KEYED}
    every = {_key(one): (name, one) for text in SNIPPETS.values() for name, one in _tables(tomllib.loads(text))}
    named = {key for key in (*network.get("channels", ()), *network.get("explain", {}).get("maps", {})) if key}
    named |= {key for one in card.get("measure", ()) for key in one["segments"]}
    for key in named:
        name, table = every[key]
        if key not in declared[name]:
            card[name] = [*card.get(name, ()), table]
    if "output" in network and "classification" not in card:
        card["classification"] = [every["pneumothorax"][1]]


def _tables(shown: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    segments = [{"key": key, **SEGMENT} for key in ("anterior", "posterior")]
    tables = [(name, one) for name in KEYED for one in shown.get(name, ())]
    return [*(("segment", one) for one in segments), *tables]


SEGMENT = {
    "label": "Part",
    "category": ["91723000", "SCT", "Anatomical Structure"],
    "type": ["5366008", "SCT", "Hippocampus"],
    "site": ["5366008", "SCT", "Hippocampus"],
    "colour": "#f2a33c",
}


@pytest.mark.parametrize("name", sorted(SNIPPETS))
def test_what_is_shown_of_a_card_is_read(name: str, tmp_path: Path) -> None:
    shown = tomllib.loads(SNIPPETS[name])
    if "project" in shown:
        assert set(shown["project"]["entry-points"]) == {"isocenter.models"}
        return
    if "route" in shown:
        Routes.model_validate(shown)
        return
    card = tmp_path / "models" / "shown" / "card.toml"
    card.parent.mkdir(parents=True)
    whole = with_shown(base(SNIPPETS[name]), shown) if "intended_use" not in shown else shown
    card.write_text(tomlkit.dumps(whole), encoding="utf-8")

    model = read_card(card)

    assert doubtful_codes(model) == []
    if "catalogue" in shown:
        card.rename(tmp_path / f"{model.name}.toml")
        assert read_catalogue(tmp_path)[model.name].source
    elif "network" in shown and whole is not shown:
        read_network(card, model)
        read_region(card, model)


@pytest.mark.slow
def test_the_whole_card_and_its_network_are_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written, installed and run as the page has them."""
    page, offered = PAGE.read_text(encoding="utf-8"), tmp_path / "two-parts"
    offered.mkdir()
    (offered / "card.toml").write_text(CARDS.findall(page)[0], encoding="utf-8")
    (tmp_path / "network.py").write_text(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0])
    monkeypatch.chdir(offered)
    runpy.run_path(str(tmp_path / "network.py"))

    install(offered, tmp_path / "models", lambda _offered: True)
    model = find_model("two-parts", tmp_path / "models")
    with model.open(Device()) as predict:
        findings = predict(noise_inputs(model.card))

    assert {one.key for one in findings.segments} == {"right-part", "left-part"}
    assert all(np.isfinite(one.mask).all() for one in findings.segments)


def test_other_weights_become_safetensors_as_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state dictionary that holds one tensor under two names, which safetensors refuses as it is."""
    import safetensors.torch
    import torch

    shared = torch.arange(6.0).reshape(2, 3)
    torch.save({"first": shared, "second": shared.T}, tmp_path / "model.pt")
    code = next(one for one in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S) if "model.pt" in one)
    (tmp_path / "convert.py").write_text(code)
    monkeypatch.chdir(tmp_path)

    runpy.run_path("convert.py")

    found = safetensors.torch.load_file("model.safetensors")
    assert found["second"].tolist() == shared.T.tolist()
