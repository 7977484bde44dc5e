"""Instances to send in a benchmark, and the DCMTK senders that send them."""

import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from node.bench.servers import ENVIRONMENT, Server
from node.core.identity import derived_uid
from node.errors import IsocenterError

SEND_LIMIT_S = 600.0


class BenchFailed(IsocenterError):
    """A benchmark could not be measured; the message says which part failed and what it said."""


@dataclass(frozen=True)
class Load:
    """A study of instances of one size, as files."""

    study_uid: str
    files: tuple[Path, ...]


def make_load(folder: Path, name: str, count: int, size_bytes: int) -> Load:
    """CT instances whose files have about `size_bytes`; another name gives other UIDs."""
    folder.mkdir(parents=True)
    study_uid = derived_uid("bench-study", name)
    pixels = os.urandom(size_bytes)
    files = []
    for number in range(count):
        path = folder / f"{number:05}.dcm"
        _instance(study_uid, name, number, pixels).save_as(path, enforce_file_format=True)
        files.append(path)
    return Load(study_uid, tuple(files))


def make_large(path: Path, name: str, size_bytes: int) -> Load:
    """One multi-frame object of that size; its file has a hole instead of pixels, so that it costs no disk."""
    instance = _instance(derived_uid("bench-study", name), name, 0, b"")
    del instance.PixelData
    instance.NumberOfFrames = size_bytes // 524288
    instance.save_as(path, enforce_file_format=True)
    with path.open("ab") as file:
        file.write(struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OW", size_bytes))
        file.truncate(file.tell() + size_bytes)
    return Load(instance.StudyInstanceUID, (path,))


def _instance(study_uid: str, name: str, number: int, pixels: bytes) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = CTImageStorage
    made.SOPInstanceUID = derived_uid("bench-instance", name, str(number))
    made.Modality = "CT"
    made.PatientID = "BENCH"
    made.PatientName = "Bench"
    made.StudyInstanceUID = study_uid
    made.SeriesInstanceUID = derived_uid("bench-series", name)
    made.InstanceNumber = number + 1
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.ImagePositionPatient = [0, 0, number]
    made.PixelSpacing = [1, 1]
    made.SliceThickness = 1
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.Columns = 512 if len(pixels) >= 1 << 19 else 128
    made.Rows = max(len(pixels) // 2 // made.Columns, 1)
    made.PixelData = pixels
    return made


@contextmanager
def idle_associations(server: Server, count: int) -> Iterator[None]:
    """So many open associations on which nothing happens. Raises BenchFailed where one is not accepted."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(_associated(server))
        yield


def knock(server: Server, count: int) -> None:
    """So many associations that end at once, and as many connections on which nothing is asked, one after another."""
    for _ in range(count):
        with _associated(server) as connection:
            connection.sendall(bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0)))  # A-RELEASE-RQ
            while connection.recv(4096)[-10:-9] != b"\x06":
                pass
        socket.create_connection(("127.0.0.1", server.port), timeout=10).close()


@contextmanager
def _associated(server: Server) -> Iterator[socket.socket]:
    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(content)) + content

    syntaxes = item(0x30, CTImageStorage.encode()) + item(0x40, ExplicitVRLittleEndian.encode())
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3")
    items = item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, b"\1\0\0\0" + syntaxes) + item(0x50, user)
    titles = server.ae_title.encode().ljust(16) + b"BENCH".ljust(16)
    body = struct.pack(">HH", 1, 0) + titles + bytes(32) + items
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(struct.pack(">BxI", 1, len(body)) + body)
        if connection.recv(1) != b"\x02":
            raise BenchFailed("an association was not accepted")
        yield connection


def send(server: Server, *loads: Load) -> float:
    """Seconds that dcmsend takes for these loads, one association for each, all at once. Raises BenchFailed."""
    commands = [
        ["dcmsend", "-aec", server.ae_title, "-pdu", "131072", "127.0.0.1", str(server.port), *map(str, load.files)]
        for load in loads
    ]
    return _timed(commands)


def send_by_storescu(server: Server, load: Load, more: Sequence[str] = ()) -> float:
    """The same by storescu, which also speaks TLS; `more`: its options."""
    target = ["-aec", server.ae_title, "-pdu", "131072", *more, "127.0.0.1", str(server.port)]
    return _timed([["storescu", *target, "+sd", str(load.files[0].parent)]])


def _timed(commands: Sequence[Sequence[str]]) -> float:
    os.sync()  # what earlier runs left to be written is not this one's
    began = time.monotonic()
    running = [
        subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for command in commands
    ]
    told = [one.communicate(timeout=SEND_LIMIT_S)[0] for one in running]
    took = time.monotonic() - began
    for command, one, said in zip(commands, running, told, strict=True):
        if one.returncode:
            raise BenchFailed(f"{command[0]} failed: {said[-300:]}")
    return took
