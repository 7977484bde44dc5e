"""Networks' files are opened by their kind, and nothing in them is run that is no operation on tensors."""

import hashlib
import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from ai.errors import CardInvalid
from ai.networks.architectures import build
from ai.networks.exported import open_exported
from ai.networks.opening import load_weights
from ai.networks.scripted import open_scripted
from ai.networks.weights import read_pinned

UNET: dict[str, object] = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8],
    "strides": [2],
}
IMAGE = torch.linspace(0, 1, 16**3).reshape(1, 1, 16, 16, 16)


class Touch:
    """What a hostile pickle does when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build("unet", UNET).eval()


def exported(of: torch.nn.Module) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            of, (IMAGE.repeat(2, 1, 1, 1, 1),), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=16)},)
        )
        made = io.BytesIO()
        torch.export.save(program, made)
    return made.getvalue()


def scripted(of: torch.nn.Module) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = io.BytesIO()
        torch.jit.save(torch.jit.trace(of, IMAGE), made)
    return made.getvalue()


def changed(content: bytes, change: Callable[[str, bytes], bytes], *extra: tuple[str, bytes]) -> bytes:
    """The archive with members changed by name, and others added."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for one in old.infolist():
            new.writestr(one.filename, change(one.filename, old.read(one)))
        root = old.infolist()[0].filename.split("/")[0]
        for name, inner in extra:
            new.writestr(f"{root}/{name}", inner)
    return made.getvalue()


def same(_name: str, content: bytes) -> bytes:
    return content


def test_safetensors_go_into_the_network_that_the_card_names() -> None:
    trained = network()
    content = safetensors.torch.save(trained.state_dict())

    opened = load_weights(build("unet", UNET), content, "model.safetensors").eval()

    assert torch.equal(opened(IMAGE), trained(IMAGE))


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_a_safetensors_file_that_was_cut_is_refused(length: int) -> None:
    content = safetensors.torch.save(network().state_dict())[:length]

    with pytest.raises(CardInvalid, match="no whole safetensors"):
        load_weights(build("unet", UNET), content, "model.safetensors")


def test_weights_of_another_network_are_refused() -> None:
    content = safetensors.torch.save(build("unet", {**UNET, "channels": [8, 16]}).state_dict())

    with pytest.raises(CardInvalid, match="not those of the network"):
        load_weights(build("unet", UNET), content, "model.safetensors")


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    for content in (pickle.dumps(Touch(tmp_path / "ran")), _torch_saved(Touch(tmp_path / "ran"))):
        with pytest.raises(CardInvalid):
            load_weights(network(), content, "model.pt")
        with pytest.raises(CardInvalid):
            open_exported(content, "model.pt")
        with pytest.raises(CardInvalid):
            open_scripted(content, "model.pt")

    assert not (tmp_path / "ran").exists()


def _torch_saved(value: object) -> bytes:
    made = io.BytesIO()
    torch.save(value, made)
    return made.getvalue()


def test_torchscript_and_export_predict_as_the_network_did() -> None:
    trained = network()

    for opened in (open_scripted(scripted(trained), "a.ts"), open_exported(exported(trained), "a.pt2")):
        torch.testing.assert_close(opened(IMAGE), trained(IMAGE))


class Reader(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("/etc/hostname", size=1)


def test_torchscript_that_reads_files_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = io.BytesIO()
        torch.jit.save(torch.jit.script(Reader()), made)

    with pytest.raises(CardInvalid, match="from_file"):
        open_scripted(made.getvalue(), "a.ts")


FILE = '"/etc/hostname"'


@pytest.mark.parametrize(
    "call",
    [
        f"y = ops.aten.from_file({FILE}, False, 1)",
        f"y = torch . from_file({FILE}, False, 1)",
        f"t = torch; y = t.from_file({FILE}, False, 1)",
        f"o = ops; y = o.aten.from_file({FILE}, False, 1)",
        f'y = getattr(torch, "from_file")({FILE}, False, 1)',
        f'y = getattr(torch, "from_" "file")({FILE}, False, 1)',
        f'y = getattr(torch, "from\\137file")({FILE}, False, 1)',
        f"y = (torch.\\\n  from_file)({FILE}, False, 1)",
        'y = torch.format("a\\\n", torch.save(x, "/nowhere/here"), "b")',
        f'# """\n    y = torch.from_file({FILE}, False, 1)  # """',
        'ops.aten.save(x, "/nowhere/here")',
        'ops.image.read_file("/etc/hostname")',
    ],
)
def test_torchscript_that_reaches_files_is_refused_however_it_is_written(call: str) -> None:
    calls = "".join(f"{line}\n    " for line in call.split("; "))

    def rewritten(name: str, content: bytes) -> bytes:
        return content.replace(b"return ", calls.encode() + b"return ", 1) if name.endswith(".py") else content

    with pytest.raises(CardInvalid, match="is not opened"):
        open_scripted(changed(scripted(torch.nn.ReLU()), rewritten), "a.ts")


def test_torchscript_is_judged_whatever_the_case_of_its_files_names() -> None:
    content, made = scripted(torch.nn.ReLU()), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            reading = b'y = torch.from_file("/etc/hostname", False, 1)\n    return '
            new.writestr(name.replace(".py", ".PY"), old.read(name).replace(b"return ", reading))

    with pytest.raises(CardInvalid, match="from_file"):
        open_scripted(made.getvalue(), "a.ts")


def nested(depth: int) -> Callable[[str, bytes], bytes]:
    """Puts what the network takes into so many brackets."""

    def change(name: str, content: bytes) -> bytes:
        if not name.endswith(".py") or b"return x" not in content:
            return content
        lines = content.decode().splitlines()
        lines[-1] = f"    return {'(' * depth}x{')' * depth}"
        return "\n".join([*lines, ""]).encode()

    return change


def test_torchscript_that_lets_the_stack_run_out_is_refused() -> None:
    """It ended the process that opened it (SIGSEGV), five times for each job."""

    class Same(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    made = scripted(Same())

    assert open_scripted(changed(made, nested(900)), "a.ts")(torch.ones(2)).tolist() == [1, 1]
    with pytest.raises(CardInvalid, match="has brackets more than 1000 deep in each other"):
        open_scripted(changed(made, nested(100_000)), "a.ts")


class Words(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ops = torch.nn.Sequential(torch.nn.ReLU())

    def forward(self, x: torch.Tensor, mode: str = "it's") -> torch.Tensor:
        if mode == "\n":
            raise ValueError('cannot save "x": torch.save is no "operation"')
        return torch.as_tensor(self.ops(x))


def test_torchscript_may_say_in_words_what_it_does_not_do() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = io.BytesIO()
        torch.jit.save(torch.jit.script(Words()), made)

    assert torch.equal(open_scripted(made.getvalue(), "a.ts")(torch.ones(2)), torch.ones(2))


def test_an_export_that_reads_files_is_refused() -> None:
    def reading(_name: str, content: bytes) -> bytes:
        return content.replace(b"torch.ops.aten.relu.default", b"torch.ops.aten.from_file.default")

    with pytest.raises(CardInvalid, match="from_file"):
        open_exported(changed(exported(torch.nn.ReLU()), reading), "a.pt2")


def test_an_export_with_compiled_code_is_refused() -> None:
    content = changed(exported(network()), same, ("data/aotinductor/model/code.so", b"\x7fELF"))

    with pytest.raises(CardInvalid, match=r"code\.so"):
        open_exported(content, "a.pt2")


def test_an_export_with_pickled_weights_is_refused(tmp_path: Path) -> None:
    evil = _torch_saved(Touch(tmp_path / "ran"))

    def pickled(name: str, content: bytes) -> bytes:
        if name.endswith("weights_config.json"):
            return content.replace(b'"use_pickle": false', b'"use_pickle": true')
        return evil if "/weights/weight_" in name else content

    with pytest.raises(CardInvalid, match="pickled"):
        open_exported(changed(exported(network()), pickled), "a.pt2")
    assert not (tmp_path / "ran").exists()


def test_an_export_with_hostile_sample_inputs_is_refused(tmp_path: Path) -> None:
    evil = _torch_saved(Touch(tmp_path / "ran"))

    content = changed(exported(network()), lambda name, old: evil if "/sample_inputs/" in name else old)

    with pytest.raises(CardInvalid, match="sample inputs"):
        open_exported(content, "a.pt2")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "().__class__",
        "open('/etc/passwd')",
        "s0.func(1)",
        "ｅｖａｌ(1)",
        r'Max("\143\141\154\154", 2)',
        r"Max('\143', 2)",
        "1 # 2",
        "f'{s0}'",
    ],
)
def test_an_export_with_a_hostile_expression_is_refused(expression: str) -> None:
    def with_expression(name: str, content: bytes) -> bytes:
        if "/models/" not in name:
            return content
        graph = json.loads(content)
        graph["guards_code"] = [expression]
        return json.dumps(graph).encode()

    with pytest.raises(CardInvalid, match="expression"):
        open_exported(changed(exported(network()), with_expression), "a.pt2")


CODE = "x=open('/dev/null')"
"""Torch writes names into the code that it makes of a graph."""


def named(program: dict[str, Any]) -> None:
    node = program["graph_module"]["graph"]["nodes"][0]
    node["outputs"][0]["as_tensor"]["name"] = CODE


def argument(program: dict[str, Any]) -> None:
    program["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [CODE]


def keyword(program: dict[str, Any]) -> None:
    spec = [1, {"type": "builtins.dict", "context": json.dumps([CODE]), "children_spec": []}]
    program["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps(spec)


def weight(program: dict[str, Any]) -> None:
    specs = program["graph_module"]["signature"]["input_specs"]
    next(one for one in specs if "parameter" in one)["parameter"]["parameter_name"] = CODE


def value(program: dict[str, Any]) -> None:
    values = program["graph_module"]["graph"]["tensor_values"]
    values[CODE] = values.pop(next(iter(values)))


@pytest.mark.parametrize("hide", [named, argument, keyword, weight, value])
def test_an_export_with_code_in_a_name_is_refused(hide: Callable[[dict[str, Any]], None]) -> None:
    def hidden(name: str, content: bytes) -> bytes:
        if "/models/" not in name:
            return content
        program = json.loads(content)
        hide(program)
        return json.dumps(program).encode()

    with pytest.raises(CardInvalid, match="would be written into code"):
        open_exported(changed(exported(network()), hidden), "a.pt2")


def test_an_export_that_has_a_module_imported_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil_on_import.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    context = {"default_factory_module": "evil_on_import", "default_factory_name": "int", "dict_context": []}
    spec = json.dumps([1, {"type": "collections.defaultdict", "context": context, "children_spec": []}])

    def with_spec(name: str, content: bytes) -> bytes:
        if "/models/" not in name:
            return content
        program = json.loads(content)
        program["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = spec
        return json.dumps(program).encode()

    with pytest.raises(CardInvalid, match="defaultdict"):
        open_exported(changed(exported(network()), with_spec), "a.pt2")
    assert not (tmp_path / "ran").exists()


def test_an_export_that_calls_other_functions_is_refused() -> None:
    def calling(name: str, content: bytes) -> bytes:
        return content.replace(b"torch.ops.aten.prelu.default", b"torch.hub.load") if "/models/" in name else content

    with pytest.raises(CardInvalid, match=r"torch\.hub\.load"):
        open_exported(changed(exported(network()), calling), "a.pt2")


def test_only_the_pinned_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    pinned = hashlib.sha256(b"weights").hexdigest()

    assert read_pinned(path, pinned) == b"weights"

    path.write_bytes(b"weightz")
    with pytest.raises(CardInvalid, match="the card pins"):
        read_pinned(path, pinned)
    path.unlink()
    path.symlink_to("/etc/hostname")
    with pytest.raises(CardInvalid, match="is a link"):
        read_pinned(path, pinned)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(17 << 30)  # a hole: nothing is written

    with pytest.raises(CardInvalid, match="more than any network"):
        read_pinned(tmp_path / "model.safetensors", "0" * 64)


@pytest.mark.parametrize("kind", [torch.int32, torch.int8, torch.complex64, torch.bool], ids=str)
def test_weights_of_another_kind_are_refused(kind: torch.dtype) -> None:
    """Of whole numbers nearly all would be 0, and the network would find nothing in anybody."""
    state = {key: one.to(kind) if one.is_floating_point() else one for key, one in network().state_dict().items()}

    with pytest.raises(CardInvalid, match=f"holds {kind}, and its network's real numbers"):
        load_weights(build("unet", UNET), safetensors.torch.save(state), "model.safetensors")


def test_what_a_file_calls_its_tensors_is_told_briefly() -> None:
    state = {**network().state_dict(), **{f"\x1b[2J{number}": torch.zeros(1) for number in range(5000)}}

    with pytest.raises(CardInvalid, match="not those of the network") as told:
        load_weights(build("unet", UNET), safetensors.torch.save(state), "model.safetensors")

    assert str(told.value).isprintable()
    assert len(str(told.value)) < 1500
