"""What a job's identity depends on: the same inputs, model and settings give the same job and the same UIDs."""

import hashlib
from collections.abc import Mapping

from node.core.identity import InstanceUID, derived_uuid, short_id
from node.core.study import Stack


def input_digest(inputs: Mapping[str, Stack], sha256_of: Mapping[InstanceUID, str]) -> str:
    """SHA-256 over every frame the inputs selected, with its instance's pixels; order of arrival plays no part.

    sha256_of: SHA-256 of each instance's pixel data in hexadecimal: it does not depend on how the sender wrote the
    data set around it.
    """
    total = hashlib.sha256()
    for name, stack in sorted(inputs.items()):
        for frame in stack.frames:
            line = f"{name}\0{frame.sop_instance_uid}\0{frame.frame_number}\0{sha256_of[frame.sop_instance_uid]}\n"
            total.update(line.encode())
    return total.hexdigest()


def job_key(*, study_uid: str, route: str, input_digest: str, model_digest: str, settings_digest: str) -> str:
    """The job's identity as a UUID's text: every UID of its results derives from it (design section 1, Results)."""
    return str(derived_uuid("job", study_uid, route, input_digest, model_digest, settings_digest))


def job_id(key: str) -> str:
    """The job's short id."""
    return short_id("j", key)


def settings_digest(*, series_base: int) -> str:
    """SHA-256 over the settings that change result objects."""
    return hashlib.sha256(f"series_base={series_base}".encode()).hexdigest()
