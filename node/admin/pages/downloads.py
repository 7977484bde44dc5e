"""The result objects of a job, as one archive to take away."""

import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from node.admin.window import Window
from node.errors import NotFound
from node.state import outbox, work

CHUNK = 1 << 20
IN_MEMORY = 16 << 20


def add_to(router: APIRouter, window: Window) -> None:
    """The routes of this group."""

    @router.get("/jobs/{key}/results.zip")
    def job_results(key: str) -> Response:
        with window.ledger.read() as connection:
            job = work.get_job(connection, key)
            rows = outbox.results_of(connection, job.id, job.run)
        paths = [(window.home / one.path, f"{one.position + 1:04d}-{one.kind}.dcm") for one in rows]
        if not paths or not all(path.exists() for path, _ in paths):
            raise NotFound(
                f"job {job.id} has no results here; it is {job.state.value}, or they were kept for their time"
            )
        archive = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  it is closed when it was sent
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as into:
            for path, name in paths:
                into.write(path, name)
        headers = {"Content-Disposition": f'attachment; filename="{job.id}-run-{job.run}.zip"'}
        return StreamingResponse(_chunks(archive), media_type="application/zip", headers=headers)


def _chunks(archive: IO[bytes]) -> Iterator[bytes]:
    with archive:
        archive.seek(0)
        while chunk := archive.read(CHUNK):
            yield chunk
