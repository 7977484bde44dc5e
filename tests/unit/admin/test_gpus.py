"""What the overview says of GPUs, asked of a stand-in for NVIDIA's program: the machines of the tests have none."""

from pathlib import Path

import pytest

from node.admin.gpus import ASKED, Gpu, Gpus
from node.core.role import Role
from tests.makers.window import opened

TOLD = "NVIDIA H200, 37, 1024, 143771\nNVIDIA T400, [N/A], 12, 4096\n"


def stand_in(folder: Path, body: str) -> str:
    """A program that takes the arguments of nvidia-smi and no others."""
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\n[ "$*" = "{" ".join(ASKED)}" ] || exit 2\n{body}\n')
    program.chmod(0o755)
    return str(program)


def seen(program: str) -> tuple[Gpu, ...]:
    gpus = Gpus(program)
    gpus.look()
    return gpus.last()


def test_each_gpu_is_told_as_the_driver_tells_it(tmp_path: Path) -> None:
    assert seen(stand_in(tmp_path, f"cat <<'END'\n{TOLD}END")) == (
        Gpu("NVIDIA H200", 37, 1024, 143771),
        Gpu("NVIDIA T400", None, 12, 4096),
    )


@pytest.mark.parametrize(
    "body", ["exit 9", "echo 'NVIDIA-SMI has failed because it could not communicate with the driver'", "echo 'a, b'"]
)
def test_where_the_driver_does_not_answer_none_is_shown(tmp_path: Path, body: str) -> None:
    assert seen(stand_in(tmp_path, body)) == ()


def test_a_machine_without_the_program_has_none(tmp_path: Path) -> None:
    assert seen(str(tmp_path / "nowhere")) == ()


def test_the_overview_shows_them(tmp_path: Path) -> None:
    gpus = Gpus(stand_in(tmp_path, f"cat <<'END'\n{TOLD}END"))
    gpus.look()
    with opened(tmp_path, gpus=gpus) as window:
        page = window.user(Role.VIEWER).see("/")

    assert "NVIDIA H200" in page
    assert "; 37 % busy." in page
    assert "NVIDIA T400" in page
