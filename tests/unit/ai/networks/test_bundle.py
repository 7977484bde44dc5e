"""A MONAI bundle runs as MONAI runs it, and nothing that its configuration hides is run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer

from ai.device import Device
from ai.errors import CardInvalid, ModelFailed
from ai.networks.expressions import TARGETS, beyond
from ai.networks.model import NetworkModel
from ai.volume import Inputs, Volume
from tests.makers.bundles import configuration, network, write_bundle
from tests.makers.networks import SEGMENT

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:monai.*")
SHAPE, SPACING = (14, 40, 36), (5.0, 1.5, 1.5)


def inputs() -> Inputs:
    array = np.random.default_rng(0).normal(50, 60, SHAPE).astype(np.float32)
    affine = np.array([[0, 0, 1.5, -20], [0, 1.5, 0, 10], [5.0, 0, 0, 7], [0, 0, 0, 1]])
    return Inputs({"image": Volume(array, affine, SPACING)}, "image")


def predicted(folder: Path) -> np.ndarray:
    with NetworkModel(folder).open(Device(threads=2)) as predict:
        return predict(inputs()).segments[0].mask


def by_monai(roi_size: object = (16, 16, 16)) -> np.ndarray:
    """The same configuration run by MONAI alone, on the same image as its own reader would give it."""
    content = configuration()
    content["preprocessing"]["transforms"].pop(0)
    content["postprocessing"]["transforms"].pop()
    content["device"] = "cpu"
    parser = ConfigParser({key: content[key] for key in ("preprocessing", "postprocessing", "device", "pixdim")})
    volume = inputs().volumes["image"]
    affine = np.diag([-1, -1, 1, 1]) @ volume.affine_lps[:, [2, 1, 0, 3]]
    image = MetaTensor(
        volume.array.transpose(2, 1, 0),
        affine=affine,
        meta={"original_affine": affine, "original_channel_dim": "no_channel"},
    )
    items = parser.get_parsed_content("preprocessing")({"image": image})
    with torch.inference_mode():
        items["pred"] = SlidingWindowInferer(roi_size, 4, 0.5)(items["image"][None], network())[0]
    return parser.get_parsed_content("postprocessing")(items)["pred"][0].numpy().transpose(2, 1, 0) == 1


@pytest.mark.parametrize("roi_size", [16, [16, -1, 16]])
def test_windows_are_written_in_each_of_monais_ways(tmp_path: Path, roi_size: object) -> None:
    content = configuration()
    content["inferer"]["roi_size"] = roi_size

    found, expected = predicted(write_bundle(tmp_path / "spleen", content)), by_monai(roi_size)

    assert expected.any()
    assert (found != expected).mean() < 1e-4


def test_a_bundle_finds_what_monai_finds(tmp_path: Path) -> None:
    found, expected = predicted(write_bundle(tmp_path / "spleen")), by_monai()

    assert 0.05 < expected.mean() < 0.95
    np.testing.assert_array_equal(found, expected)


def test_what_is_inverted_first_is_inverted(tmp_path: Path) -> None:
    """Nothing but turned: where that was not undone, the mask would lie mirrored, on a grid of the right shape."""
    content = configuration()
    steps, after = content["preprocessing"]["transforms"], content["postprocessing"]["transforms"]
    content["preprocessing"]["transforms"] = [one for one in steps if one["_target_"] != "Spacingd"]
    plain = predicted(write_bundle(tmp_path / "plain", content))
    content["postprocessing"]["transforms"] = [after[1], *after[2:]]
    first = predicted(write_bundle(tmp_path / "first", content))

    assert not np.array_equal(plain, plain[:, ::-1, ::-1])
    np.testing.assert_array_equal(first, plain)


def in_yaml(folder: Path, text: str | None = None) -> Path:
    """The bundle with its configuration in YAML."""
    written = folder / "configs" / "inference.json"
    content = json.loads(written.read_text())
    written.with_suffix(".yaml").write_text(text or yaml.safe_dump(content))
    written.unlink()
    return folder


def test_a_bundle_in_yaml_finds_what_the_same_one_in_json_finds(tmp_path: Path) -> None:
    np.testing.assert_array_equal(predicted(in_yaml(write_bundle(tmp_path / "spleen"))), by_monai())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("network_def: !!python/object/apply:os.system ['false']\n", "plain values"),
        ("a: &a [x]\nb: [*a, *a]\n", "repeats parts by aliases"),
        ("network_def: 2020-01-01\n", "plain values"),
        ("network_def: [\n", "plain values"),
        ("[" * 5000 + "]" * 5000, "plain values"),
        ("network_def: {}\n", "must define network_def, inferer"),
    ],
)
def test_yaml_says_what_json_could_say_and_no_more(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CardInvalid, match=words):
        predicted(in_yaml(write_bundle(tmp_path / "evil"), text))


def test_yaml_is_judged_as_json_is(tmp_path: Path) -> None:
    content = hide(lambda all_: all_.update(pixdim="$__import__('os')"))

    with pytest.raises(CardInvalid, match="is not allowed"):
        predicted(in_yaml(write_bundle(tmp_path / "evil", content)))


def test_two_configurations_are_one_too_many(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "spleen")
    (folder / "configs" / "inference.yml").write_text("{}")

    with pytest.raises(CardInvalid, match="needs one of"):
        predicted(folder)


def hide(place: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    content = configuration()
    place(content)
    return content


HOSTILE: dict[str, Callable[[dict[str, Any], str], None]] = {
    "parameter": lambda all_, evil: all_["network_def"].update(act=evil),
    "reference": lambda all_, evil: all_.update(pixdim=evil),
    "inferer": lambda all_, evil: all_["inferer"].update(roi_size=evil),
    "disabled": lambda all_, evil: all_["preprocessing"]["transforms"][1].update(_disabled_=evil),
    "requires": lambda all_, evil: all_["network_def"].update(_requires_=[evil]),
    "nested": lambda all_, evil: all_["postprocessing"]["transforms"][0].update(other=[{"deep": evil}]),
}


@pytest.mark.parametrize("place", HOSTILE)
@pytest.mark.parametrize(
    "expression",
    [
        "$__import__('pathlib').Path({0!r}).touch()",
        "$().__class__.__base__.__subclasses__()",
        "$open({0!r}, 'w')",
        "$import os",
        "$torch.load({0!r})",
        "$(lambda: 1)()",
        "$[x for x in ().__class__.__mro__]",
        "$'{{}}'.format(1)",
        "$2 ** 2 ** 100",
        "%{0}",
    ],
)
def test_hostile_expressions_are_refused_unevaluated(tmp_path: Path, place: str, expression: str) -> None:
    evil = expression.format(str(tmp_path / "ran"))
    content = hide(lambda all_: HOSTILE[place](all_, evil))

    with pytest.raises(CardInvalid, match=r"is not allowed|takes in another file"):
        predicted(write_bundle(tmp_path / "evil", content))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("quote", ["'", "b'"])
def test_a_reference_in_a_text_cannot_end_it(tmp_path: Path, quote: str) -> None:
    """MONAI writes __local_refs['f'] in its place: that ends the text, and begins another, of which it makes code."""
    evil = f"""$len({quote}@f {{__import__("pathlib").Path("{tmp_path / "ran"}").touch()}} @f')"""
    content = hide(lambda all_: all_["preprocessing"]["transforms"][4].update(b_min=evil))

    with pytest.raises(CardInvalid, match="is not allowed"):
        predicted(write_bundle(tmp_path / "evil", {**content, "f": 1}))
    assert not (tmp_path / "ran").exists()


def test_what_looks_like_a_comment_is_judged(tmp_path: Path) -> None:
    """MONAI reads # as ::, its older sign, and makes code of what Python would pass over."""
    evil = f"$[1, 2, 3][0#__import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch()\n]"
    content = hide(lambda all_: all_.update(pixdim=evil))

    with pytest.raises(CardInvalid, match="is not allowed"):
        predicted(write_bundle(tmp_path / "evil", content))
    assert not (tmp_path / "ran").exists()


def test_code_in_a_key_does_not_come_into_an_expression(tmp_path: Path) -> None:
    """MONAI writes the keys on the way to an expression into it, where it refers to what lies beside it."""
    key = f"a or open({str(tmp_path / 'ran')!r}, 'w') or 0"
    content = hide(lambda all_: all_.update(pixdim={"a": 0, key: {"v": "$[2.0, 2.0, 2.0][@#1]"}}))

    with pytest.raises(CardInvalid, match=r"the key .* is not allowed"):
        predicted(write_bundle(tmp_path / "evil", content))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["@roi#0", "@##roi::0", "$@roi#0", "$@##roi#0 + 0"])
def test_references_are_followed_in_each_of_monais_ways(tmp_path: Path, text: str) -> None:
    content = hide(lambda all_: all_.update(roi=[16, 16, 16]))
    content["inferer"]["roi_size"] = text

    np.testing.assert_array_equal(predicted(write_bundle(tmp_path / "spleen", content)), by_monai(16))


@pytest.mark.parametrize(
    "target", ["os.system", "subprocess.run", "builtins.eval", "monai.bundle.run", "torch.load", "Lambdad", "$eval", 7]
)
def test_targets_that_are_not_in_the_table_are_refused(tmp_path: Path, target: object) -> None:
    content = hide(lambda all_: all_["preprocessing"]["transforms"].append({"_target_": target, "keys": "image"}))

    with pytest.raises(CardInvalid, match="not among what a bundle may build"):
        predicted(write_bundle(tmp_path / "evil", content))


def test_what_inference_does_not_need_is_never_evaluated(tmp_path: Path) -> None:
    evil = f"$__import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch()"
    content = hide(lambda all_: all_.update(imports=[evil], initialize=[evil], run=[evil], evaluator=evil))

    predicted(write_bundle(tmp_path / "odd", content))

    assert not (tmp_path / "ran").exists()


def test_a_configuration_that_the_site_trusts_may_compute_more(tmp_path: Path) -> None:
    content = hide(lambda all_: all_.update(pixdim="$[2.0 for _ in range(3)]"))

    with pytest.raises(CardInvalid, match="is not allowed"):
        predicted(write_bundle(tmp_path / "unknown", content))
    np.testing.assert_array_equal(predicted(write_bundle(tmp_path / "trusted", content, trusted=True)), by_monai())


def test_trust_ends_with_the_content(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "trusted", trusted=True)
    content = hide(lambda all_: all_.update(pixdim="$[3.0 for _ in range(3)]"))
    (folder / "configs" / "inference.json").write_text(json.dumps(content))

    with pytest.raises(CardInvalid, match="is not allowed"):
        predicted(folder)


def test_pickled_weights_are_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "spleen")
    (folder / "models" / "model.safetensors").rename(folder / "models" / "model.pt")
    card = folder / "card.toml"
    card.write_text(card.read_text().replace("model.safetensors", "model.pt"))

    with pytest.raises(CardInvalid, match=r"Turn them into safetensors"):
        predicted(folder)


def test_a_result_on_another_grid_is_no_result(tmp_path: Path) -> None:
    content = hide(lambda all_: all_["postprocessing"]["transforms"].pop(1))

    with pytest.raises(ModelFailed, match="must invert its preprocessing"):
        predicted(write_bundle(tmp_path / "spleen", content))


@pytest.mark.parametrize("channels", [1, 2])
def test_what_was_not_decided_is_no_result(tmp_path: Path, channels: int) -> None:
    """Of probabilities, none is label 1, which would read as a negative, and all are above 0."""
    content = configuration()
    content["network_def"]["out_channels"] = channels
    content["postprocessing"]["transforms"].pop(2)
    content["postprocessing"]["transforms"][0] = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
    findings = SEGMENT if channels == 1 else SEGMENT + SEGMENT.replace('key = "bright"', 'key = "dark"')
    folder = write_bundle(tmp_path / "m", content, findings=findings, definition=content["network_def"])

    with pytest.raises(ModelFailed, match="AsDiscreted"):
        predicted(folder)


def test_a_label_without_a_segment_is_no_result(tmp_path: Path) -> None:
    content = configuration()
    content["network_def"]["out_channels"] = 3

    with pytest.raises(ModelFailed, match="for each label"):
        predicted(write_bundle(tmp_path / "m", content, definition=content["network_def"]))


def test_a_segment_that_no_channel_can_find_is_told(tmp_path: Path) -> None:
    """It would read as a negative in every patient."""
    findings = SEGMENT + SEGMENT.replace('key = "bright"', 'key = "dark"')

    with pytest.raises(ModelFailed, match=r"2 channels, which make labels up to 1, and its card declares 2 segments"):
        predicted(write_bundle(tmp_path / "m", findings=findings))


def test_a_channel_without_a_segment_is_told_before_its_label_is_found(tmp_path: Path) -> None:
    content = configuration()
    content["network_def"]["out_channels"] = 3
    content["postprocessing"]["transforms"].insert(
        2, {"_target_": "ThresholdIntensityd", "keys": "pred", "threshold": 9}
    )

    with pytest.raises(ModelFailed, match=r"3 channels, which make labels up to 2"):
        predicted(write_bundle(tmp_path / "m", content, definition=content["network_def"]))


def test_every_target_of_the_table_is_monais() -> None:
    import monai.inferers
    import monai.networks.nets
    import monai.transforms

    places = (monai.networks.nets, monai.inferers, monai.transforms)
    assert not {name for name in TARGETS if not any(hasattr(one, name) for one in places)}


def test_the_fields_own_expressions_are_allowed() -> None:
    around = {"pixdim": [2.0, 2.0, 2.0], "roi": [32, 32, "$@pixdim[0] * 16"], "a": {"b": [1, 2], "c": "$@::b + [3]"}}
    texts = ["$@pixdim", "$int(@roi[0] / 2)", "$[-1, 2 * 3]", "$torch.float32", "$@a::b + [1]", "plain", "@other"]
    texts += ["$@roi#2 // 2", "$[2] * len(@roi)", "$max(@roi) if @pixdim[0] > 1 else 1", "$@roi[:2]", "$-@a::c[-1]"]

    for text in texts:
        assert not list(beyond({**around, "key": text}, "config"))


def doubled(expression: str, times: int = 60) -> dict[str, object]:
    """Expressions each of which is made twice of the one before."""
    return {"k0": [0], "n0": 7, **{f"k{n}": expression.format(n - 1) for n in range(1, times)}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"k": "$[0] * 99999999999"}, "too large"),
        ({"k": "$99999999999 * [0, 1]"}, "too large"),
        ({"k": "$@many * @few", "many": 10**14, "few": [1]}, "too large"),
        ({"k": "$'a' * 99999999999"}, "no number"),
        ({"k": "$'%99999999999d' % 1"}, "no number"),
        (doubled("$@k{0} + @k{0}"), "elements together"),
        ({**doubled("$@k{0} * @k{0}"), "k0": 7}, "too large"),
        ({"a": [0] * 1000, **{f"k{n}": "$@a[:]" for n in range(1000)}}, "elements together"),
        ({"a": [0] * 1000, "k": "$sum([" + "@a," * 1000 + "], [])"}, "no number"),
        ({**doubled("$[@k{0}, @k{0}]"), "k": "$str(@k59)"}, "not allowed"),
        ({**doubled("$[@k{0}, @k{0}]"), "k": "$max(@k58, @k59)"}, "list of lists"),
        ({"k": "$@k + 1"}, "not allowed"),
        ({"k": "$1 / 0"}, "division by zero"),
        ({"k": "$1e300 * 1e300"}, "too large"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_arithmetic_that_fills_the_memory_is_refused_unevaluated(content: dict[str, object], words: str) -> None:
    refused = list(beyond(content, "config"))

    assert refused
    assert words in refused[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("preprocessing", "transforms", 1), "@inferer"),
        (("preprocessing", "transforms", 1), 5),
        (("network_def",), 5),
        (("network_def",), "@pixdim"),
        (("pixdim",), {"_target_": "monai.networks.nets.nowhere.UNet"}),
        (("inferer", "roi_size"), []),
        (("inferer", "roi_size"), 10**30),
        (("inferer",), []),
    ],
    ids=repr,
)
def test_a_configuration_of_other_things_than_steps_and_networks_is_told(
    tmp_path: Path, place: tuple[str | int, ...], value: object
) -> None:
    content = configuration()
    table: Any = content
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value

    with pytest.raises(CardInvalid), NetworkModel(write_bundle(tmp_path / "spleen", content)).open(Device()):
        pass


def test_a_step_that_fails_says_why(tmp_path: Path) -> None:
    """MONAI names the step alone."""
    content = configuration()
    content["preprocessing"]["transforms"][4]["a_min"] = [1]

    with pytest.raises(ModelFailed, match=r"bundle's preprocessing failed: \w+: .*ScaleIntensityRanged"):
        predicted(write_bundle(tmp_path / "spleen", content))
