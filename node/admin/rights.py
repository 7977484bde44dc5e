"""What each page and action of the window needs: one row for every route of the application, and no other.

A route without a row is refused to everybody. tests/unit/admin/test_rights.py holds the table against the application.
"""

from enum import Enum

from node.core.role import Role


class Open(Enum):
    """Routes that need no sign-in."""

    EVERYBODY = "everybody"
    DOOR = "door"
    """Where one signs in; until there is a user, it is open from this machine alone."""


PUBLIC, DOOR = Open.EVERYBODY, Open.DOOR
VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN

RIGHTS: dict[str, Role | Open] = {
    # health.py
    "live": PUBLIC,
    "ready": PUBLIC,
    "metrics": PUBLIC,
    # pages/door.py
    "sign_in_page": DOOR,
    "sign_in": DOOR,
    "first_page": DOOR,
    "first": DOOR,
    "sign_out": VIEWER,
    # pages/overview.py
    "overview_page": VIEWER,
    "overview_live": VIEWER,
    # pages/studies.py
    "studies_page": VIEWER,
    "studies_search": VIEWER,
    "study_page": VIEWER,
    "study_live": VIEWER,
    "study_complete": OPERATOR,
    "study_release": OPERATOR,
    "job_page": VIEWER,
    "job_retry": OPERATOR,
    "job_again": OPERATOR,
    "job_cancel": OPERATOR,
    "job_results": OPERATOR,
    "delivery_resend": OPERATOR,
    "delivery_drop": OPERATOR,
}
"""By the name of the function that answers."""
