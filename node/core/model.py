"""What routing needs to know of a model: no more than its name, version, digest and inputs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelFacts:
    """An installed model. inputs: name and modalities of each; the first is the one results are placed on."""

    name: str
    version: str
    digest: str
    inputs: tuple[tuple[str, tuple[str, ...]], ...]
