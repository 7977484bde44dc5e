"""Who may do what in the operator's window: three roles, each of which may do what the one before it may."""

from enum import Enum


class Role(str, Enum):
    """What a user is trusted with, from the least to the most."""

    VIEWER = "viewer"
    """Looks; sees no patient's name or number unless the user is allowed to."""
    OPERATOR = "operator"
    """Steers studies, jobs and deliveries."""
    ADMIN = "admin"
    """Changes the configuration, and who may come in."""

    def may(self, needed: "Role") -> bool:
        """Whether this role includes what `needed` may do."""
        order = list(Role)
        return order.index(self) >= order.index(needed)
