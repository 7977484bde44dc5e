"""The Tab key: bash itself completes commands and options, also through the wrapper that calls sudo."""

import subprocess
import sys
from pathlib import Path

import pytest

INSTALL = Path(__file__).parents[2] / "docs" / "operate" / "install.md"


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """The wrapper of the documentation around this installation; sudo, as it is set up, keeps no variable."""
    wrapper = INSTALL.read_text().partition("```sh\n#!/bin/sh\n")[2].partition("```")[0]
    inner, command = tmp_path / "inner", tmp_path / "isocenter"
    main = "import sys; sys.argv[0] = 'isocenter'; from node.cli import main; main()"
    inner.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{main}" "$@"\n')
    command.write_text("#!/bin/sh\n" + wrapper.replace("/opt/isocenter/.venv/bin/isocenter", str(inner)))
    (tmp_path / "sudo").write_text('#!/bin/sh\nshift 2; exec env -i "$@"\n')
    for one in (inner, command, tmp_path / "sudo"):
        one.chmod(0o755)
    return command


@pytest.mark.parametrize(
    ("words", "found"),
    [("pe", {"peers"}), ("peers ec", {"echo"}), ("resend --pa", {"--parked"}), ("pause dest", {"destination"})],
)
def test_bash_completes_what_is_typed(command: Path, words: str, found: set[str]) -> None:
    script = f"""
        PATH={command.parent}:$PATH
        eval "$(_ISOCENTER_COMPLETE=source_bash isocenter)"
        COMP_WORDS=(isocenter {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _isocenter_completion isocenter
        echo "${{COMPREPLY[@]}}"
    """
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=120)

    assert set(said.stdout.split()) == found, said.stderr
