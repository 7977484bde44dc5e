"""Makes certificates with openssl: an authority, and what it signs."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Signed:
    """A certificate with its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A certification authority in a folder."""

    def __init__(self, folder: Path, name: str = "Test Authority") -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self.certificate, self._key = folder / "authority.pem", folder / "authority.key"
        _openssl("req", "-x509", *_new_key(self._key), "-subj", f"/CN={name}", "-days", "365", "-out", self.certificate)

    def sign(self, subject: str, *, days: int = 365, names: str = "") -> Signed:
        """A certificate for a subject such as "/CN=pacs/O=Hospital"; of no days, it has expired when it is used.

        names: alternative ones, such as "IP:127.0.0.1"."""
        number = len(list(self._folder.iterdir()))
        made = Signed(self._folder / f"{number}.pem", self._folder / f"{number}.key")
        request = self._folder / f"{number}.csr"
        _openssl("req", *_new_key(made.key), "-subj", subject, "-out", request)
        signer = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial")
        extension = self._folder / f"{number}.ext"
        extension.write_text(f"subjectAltName={names}\n" if names else "")
        signer = (*signer, "-extfile", extension)
        _openssl("x509", "-req", "-in", request, *signer, "-days", str(days), "-out", made.certificate)
        return made


def _new_key(path: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
