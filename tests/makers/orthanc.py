"""A real PACS: Orthanc with DICOMweb, in a folder of its own on free ports."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from node.rehearsal.running import free_ports
from tests.makers.programs import ENDS_WITH_US

START_LIMIT_S = 30.0


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc. Its REST interface answers at `url`."""

    ae_title: str
    port: int
    url: str

    def get(self, path: str) -> object:
        """An answer of the REST interface."""
        return httpx.get(self.url + path, timeout=30).raise_for_status().json()

    def series(self) -> list[dict[str, str]]:
        """Main tags of every series, with its number of instances as "Instances"."""
        found = []
        for one in self.get("/series"):
            told = self.get(f"/series/{one}")
            found.append({**told["MainDicomTags"], "Instances": len(told["Instances"]), "ID": one})
        return found

    def files(self, series_id: str) -> list[bytes]:
        """The files of one series."""
        instances = self.get(f"/series/{series_id}")["Instances"]
        return [
            httpx.get(f"{self.url}/instances/{one}/file", timeout=60).raise_for_status().content for one in instances
        ]


@contextmanager
def running_orthanc(
    folder: Path, ae_title: str = "PACS", more: dict[str, object] | None = None, ports: list[int] | None = None
) -> Iterator[Orthanc]:
    """An Orthanc from entry to exit. ports: for DICOM and HTTP, where it must come back under those it had."""
    folder.mkdir(parents=True, exist_ok=True)
    port, http_port = ports or free_ports(2)
    config = {
        "Name": "test",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomAet": ae_title,
        "DicomPort": port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": False,
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **(more or {}),
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    environment = {**os.environ, "TCP_NODELAY": "1", "TCP_BUFFER_LENGTH": "262144"}
    with (folder / "log").open("wb") as log:
        command = [*ENDS_WITH_US, "Orthanc", str(folder / "orthanc.json")]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while b"Orthanc has started" not in (folder / "log").read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Orthanc did not start: {(folder / 'log').read_text()}")
            time.sleep(0.05)
        yield Orthanc(ae_title, port, f"http://127.0.0.1:{http_port}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
