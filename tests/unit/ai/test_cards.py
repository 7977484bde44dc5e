"""A card that cannot be used is refused where it is read, with its key: never by a study, and never by a result."""

import math
from pathlib import Path

import pytest
import tomlkit

from ai.card import read_card
from ai.errors import CardInvalid
from ai.networks.declared import read_network
from tests.makers.networks import SEGMENT, write_bright

MORE = """
[[classification]]
key = "nodule"
label = "Nodule"
finding = ["27925004", "SCT", "Nodule"]
site = ["39607008", "SCT", "Lung"]
threshold = 0.5

[[detection]]
key = "spot"
label = "Spot"
type = ["27925004", "SCT", "Nodule"]
site = ["39607008", "SCT", "Lung"]
threshold = 0.5

[[measurement]]
key = "size"
label = "Size"
name = ["118565006", "SCT", "Volume"]
unit = ["mL", "UCUM", "mL"]
digits = 1

[[map]]
key = "why"
label = "Why"
quantity = ["130404", "DCM", "Saliency"]
unit = ["1", "UCUM", "no units"]
shown = [0.0, 0.5]

[[measure]]
segments = ["bright"]
features = ["mean"]
"""
CHAINS = """
[[prepare]]
step = "resample"
spacing_mm = [2.0, 2.0, 2.0]

[[prepare]]
step = "fit"
shape = [8, 8, 8]

[[finish]]
step = "argmax"
"""
WINDOW = "[network.window]\nsize = [8, 8, 8]\noverlap = 0.5"
HUGE = 10**400
"""No float holds it."""
TABLES = ("input", "segment", "classification", "detection", "measurement", "map", "measure", "prepare", "finish")
STRANGE = [
    *[((one,), value) for one in TABLES for value in ([1], ["a"], [[]], 1)],
    *[(("network",), value) for value in ([1], "a", 1)],
    *[(("timeout_s",), value) for value in (0, 10**18, HUGE, True)],
    *[(("memory_mb",), value) for value in (0, 10**18, HUGE, True)],
    *[((one, 0, "threshold"), v) for one in ("classification", "detection") for v in (math.nan, 5.0, -0.1, HUGE)],
    *[(("map", 0, "shown"), [0.0, value]) for value in (math.inf, math.nan, HUGE)],
    *[(("measurement", 0, "digits"), value) for value in (400, -400)],
    *[(("input", 0, "min_slices"), value) for value in (0, 10**18)],
    *[(("input", 0, one), value) for one in ("max_slice_spacing_mm", "max_field_mm") for value in (0, math.nan, -1.0)],
    *[(("prepare", 0, "spacing_mm"), [1.0, 1.0, value]) for value in (math.nan, math.inf, HUGE, -1.0)],
    *[(("prepare", 1, "shape"), [8, 8, value]) for value in (10**9, HUGE, -1)],
    *[(("network", "window", "size"), [8, 8, value]) for value in (10**9, 0, True)],
    *[(("network", "window", "overlap"), value) for value in (1.0, math.nan, HUGE)],
    *[((one,), value) for one in ("version", "vendor") for value in ("", " 1", "x" * 65)],
    *[((one,), "a\x1b[2Jb") for one in ("version", "title", "licence", "intended_use")],
    *[(("segment", 0, "label"), value) for value in ("x" * 65, "a\nb", "a\u202eb", "")],
    *[
        (("segment", 0, "site"), value)
        for value in (["", "SCT", "Lung"], ["1", "x" * 17, "Lung"], ["1", "SCT", "x" * 65])
    ],
    (("input",), []),
    (("not_validated_for",), ["a\nb"]),
]


def changed(folder: Path, place: tuple[str | int, ...], value: object) -> Path:
    card = write_bright(folder / "bright", WINDOW, findings=SEGMENT + MORE, chains=CHAINS) / "card.toml"
    content = tomlkit.parse(card.read_text())
    *outer, last = place
    table: object = content
    for key in outer:
        table = table[key]
    table[last] = value
    card.write_text(tomlkit.dumps(content))
    return card


def read(card: Path) -> None:
    read_network(card, read_card(card))


def test_the_card_that_is_changed_below_can_be_used(tmp_path: Path) -> None:
    read(changed(tmp_path, ("title",), "Another title"))


@pytest.mark.parametrize(("place", "value"), STRANGE, ids=[f"{place} {str(value)[:20]!r}" for place, value in STRANGE])
def test_what_no_model_can_mean_is_refused_with_its_key(
    tmp_path: Path, place: tuple[str | int, ...], value: object
) -> None:
    card = changed(tmp_path, place, value)

    with pytest.raises(CardInvalid) as told:
        read(card)

    assert str(next(one for one in reversed(place) if isinstance(one, str))) in str(told.value)
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 500


@pytest.mark.parametrize("value", ["x" * 65, "../x", "", "a--b", "x" * 10_000])
@pytest.mark.parametrize("place", [("name",), ("input", 0, "name"), ("segment", 0, "key")], ids=str)
def test_names_that_are_no_names_of_files_are_refused(tmp_path: Path, place: tuple[str | int, ...], value: str) -> None:
    with pytest.raises(CardInvalid, match="lower-case words joined by hyphens, 64 letters at most, found"):
        read(changed(tmp_path, place, value))


@pytest.mark.parametrize(
    "content",
    ["a = " + "[" * 20_000, "a = " + "9" * 5_000, "a = \xff", "a = 1\na = 2"],
    ids=["deep", "long", "no text", "twice"],
)
def test_what_is_no_card_is_refused_with_its_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "card.toml").write_bytes(content.encode("latin-1"))

    with pytest.raises(CardInvalid, match=r"card\.toml: cannot be read as TOML"):
        read_card(tmp_path / "card.toml")
