"""What an operator may pause."""

from enum import Enum


class Pausable(str, Enum):
    """What can be paused, by its name in the configuration."""

    ROUTE = "route"
    MODEL = "model"
    DESTINATION = "destination"
