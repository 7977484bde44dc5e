"""A certificate for both sides of a benchmark over TLS, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Trust:
    """A certificate and its key, and the authority that signed it: PEM files."""

    certificate: Path
    key: Path
    authority: Path


def make_trust(folder: Path) -> Trust:
    """A fresh certificate in a folder that is not there yet."""
    folder.mkdir()
    made = Trust(folder / "node.pem", folder / "node.key", folder / "authority.pem")
    new_key = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    authority_key, request = folder / "authority.key", folder / "node.csr"
    for arguments in (
        ("req", "-x509", *new_key, "-subj", "/CN=bench authority", "-keyout", authority_key, "-out", made.authority),
        ("req", *new_key[:3], "-subj", "/CN=bench", "-keyout", made.key, "-out", request),
        ("x509", "-req", "-in", request, "-CA", made.authority, "-CAkey", authority_key, "-CAcreateserial",
         "-days", "2", "-out", made.certificate),
    ):  # fmt: skip
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    return made
