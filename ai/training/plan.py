"""How a network is trained and on which cases: the file train.toml beside a model's card."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ai.errors import PlanInvalid

Share = Annotated[float, Field(ge=0, le=1)]


class Table(BaseModel):
    """A table of the file: immutable, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cases(Table):
    """[cases]: a folder with `images` and `labels`, files of the same names, and how they are parted.

    Cases are sorted by name; one's place in that order modulo `every` says whether it is held out (not looked at before
    the training is over), used to choose the weights (`validation`), or trained on.
    """

    folder: Path
    every: Annotated[int, Field(ge=2)]
    held_out: tuple[int, ...]
    validation: Annotated[tuple[int, ...], Field(min_length=1)]


class Augmentation(Table):
    """[augmentation]: what is done at random to a case each time it is seen. Angles in degrees, shift in voxels."""

    rotation_deg: Annotated[float, Field(ge=0, le=180)]
    scale: Share
    """0.2 is from 0.8 to 1.2, for each axis on its own."""
    shift: Annotated[float, Field(ge=0)]
    elastic: Annotated[float, Field(ge=0)] = 0.0
    """The largest standard deviation of an elastic deformation, in voxels, along each axis."""
    flip_axes: tuple[Literal[0, 1, 2], ...]
    noise_sd: Annotated[float, Field(ge=0)]
    """The largest standard deviation, in units of the prepared image."""
    blur_sd: tuple[float, float]
    """The least and the largest standard deviation, in voxels."""
    contrast: Share
    """0.2 is values times 0.8 to 1.2."""
    gamma: tuple[float, float]
    coarse: tuple[float, float] | None = None
    """The least and the largest factor by which an image loses voxels along each axis; absent, none ever does."""


class Schedule(Table):
    """[schedule]: AdamW; the rate rises over the first steps, stays, and falls to zero over the last epochs."""

    epochs: Annotated[int, Field(ge=1)]
    rising_steps: Annotated[int, Field(ge=1)]
    falling_epochs: Annotated[int, Field(ge=0)]
    batch: Annotated[int, Field(ge=1)]
    window: tuple[int, int, int] | None = None
    """What is seen of a case at once, in voxels of the prepared image; absent, the window of the card."""
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    average: Share
    """Decay of the moving average of the weights, per step; it is the average that is validated and kept."""
    validate_every: Annotated[int, Field(ge=1)] = 1
    """Epochs from one validation to the next; the last epoch is always validated."""
    threads: Annotated[int, Field(ge=1)] = 2
    precision: Literal["float32", "bfloat16"] = "float32"


class Plan(Table):
    """The whole file. With the same cases, library versions and processor it gives the same weights."""

    seed: Annotated[int, Field(ge=0, lt=2**31)]
    cases: Cases
    augmentation: Augmentation
    schedule: Schedule


def read_plan(file: Path, cases: Path | None = None) -> Plan:
    """The file's content; a relative folder of cases is meant from the file's own folder.

    cases: a folder in place of the one in the file. Raises PlanInvalid with file, key and fault.
    """
    try:
        plan = Plan.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanInvalid(f"{file}: cannot be read as TOML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise PlanInvalid(f"{file}: {faults}") from error
    folder = (cases or file.parent / plan.cases.folder).resolve()
    return plan.model_copy(update={"cases": plan.cases.model_copy(update={"folder": folder})})
