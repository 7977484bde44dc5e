"""The configuration of a MONAI bundle: read as plain values, cut to what inference needs, judged before it is used."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai.errors import CardInvalid
from ai.networks.declared import NetworkCard
from ai.networks.expressions import beyond, references

INFERENCE = ("configs/inference.json", "configs/inference.yaml", "configs/inference.yml")
"""One of these says how the bundle is built and run."""
CONFIGURATIONS = (*INFERENCE, "configs/metadata.json")
READERS = frozenset({"LoadImaged", "LoadImageD", "LoadImageDict"})
WRITERS = frozenset({"SaveImaged", "SaveImageD", "SaveImageDict", "SaveClassificationd"})
"""Steps of files: the node gives the images, and takes what is found."""
LARGEST_CONFIGURATION = 1 << 20


def configurations(folder: Path) -> list[Path]:
    """The files of a bundle that decide what it does, beside its weights."""
    return [folder / name for name in CONFIGURATIONS if (folder / name).is_file()]


@dataclass(frozen=True)
class Configuration:
    """The file that says how a bundle is built and run. needed: the part for inference; nothing else is evaluated."""

    file: Path
    sha256: str
    needed: Mapping[str, Any]

    @property
    def beyond(self) -> tuple[str, ...]:
        """What it would build and evaluate that no bundle may without the site's trust, each with its place."""
        return tuple(beyond(self.needed, self.file.name))


def read_configuration(folder: Path) -> Configuration:
    """Raises CardInvalid."""
    written = [folder / name for name in INFERENCE if (folder / name).is_file()]
    if len(written) != 1 or written[0].is_symlink() or written[0].stat().st_size > LARGEST_CONFIGURATION:
        raise CardInvalid(
            f"{folder}: a bundle needs one of {', '.join(INFERENCE)}, of at most {LARGEST_CONFIGURATION >> 20} MiB"
        )
    file = written[0]
    content = file.read_bytes()
    whole = _read(file, content)
    if not isinstance(whole, dict) or not {"network_def", "inferer", "preprocessing"} <= set(whole):
        raise CardInvalid(f"{file}: must define network_def, inferer and preprocessing")
    whole["device"] = "cpu"
    for key, files in (("preprocessing", READERS), ("postprocessing", WRITERS)):
        if key in whole:
            whole[key] = _without(whole[key], files)
    found: dict[str, Any] = {}
    wanted = [key for key in ("network_def", "inferer", "preprocessing", "postprocessing") if key in whole]
    while wanted:
        key = wanted.pop()
        if key not in found and key in whole:
            found[key] = whole[key]
            wanted += [one.split("::")[0] for one in references(json.dumps(whole[key]))]
    return Configuration(file, hashlib.sha256(content).hexdigest(), found)


def judged(configuration: Configuration, network: NetworkCard) -> Mapping[str, Any]:
    """What is needed of it. Raises CardInvalid where that goes beyond the table, and the site does not trust it."""
    if network.trusted != configuration.sha256 and (beyond_it := configuration.beyond):
        raise CardInvalid(f"{beyond_it[0]}. Who has read it can vouch for it: isocenter models trust")
    return configuration.needed


def _read(file: Path, content: bytes) -> object:
    """What JSON can say, whichever of the two it is written in. Raises CardInvalid."""
    import yaml

    try:
        if file.suffix == ".json":
            return json.loads(content)
        text = content.decode()
        if any(isinstance(one, yaml.AliasEvent) for one in yaml.parse(text, yaml.SafeLoader)):
            raise CardInvalid(f"{file}: repeats parts by aliases (*name), which can unfold without end: write them out")
        return json.loads(json.dumps(yaml.safe_load(text)))
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise CardInvalid(f"{file}: is not {file.suffix[1:].upper()} of plain values: {error}") from error


def _without(compose: Any, files: frozenset[str]) -> Any:
    """A Compose without its steps of files."""
    if not isinstance(compose, dict) or not isinstance(compose.get("transforms"), list):
        return compose
    kept = [one for one in compose["transforms"] if _called(one) not in files]
    return {**compose, "transforms": kept}


def _called(step: object) -> str:
    """What a step builds, without its module; empty for one that only refers to another."""
    return str(step.get("_target_", "")).rpartition(".")[2] if isinstance(step, dict) else ""
