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
    "reset_page": DOOR,
    "reset": DOOR,
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
    "resend_parked": OPERATOR,
    "delivery_drop": OPERATOR,
    # pages/correcting.py
    "delivery_compare": OPERATOR,
    "delivery_correct": OPERATOR,
    # pages/preview.py
    "job_preview": VIEWER,
    "job_slice": VIEWER,
    # pages/outbox.py
    "outbox_page": VIEWER,
    "outbox_live": VIEWER,
    "deliveries_page": VIEWER,
    "pause": OPERATOR,
    "resume": OPERATOR,
    # pages/associations.py, pages/models.py
    "associations_page": VIEWER,
    "models_page": VIEWER,
    "model_check_start": OPERATOR,
    "model_check_seen": VIEWER,
    # pages/peers.py
    "peers_page": VIEWER,
    "peer_echo": OPERATOR,
    "peer_probe": OPERATOR,
    "peer_check": ADMIN,
    "peer_add": ADMIN,
    "peer_edit": ADMIN,
    "peer_remove": ADMIN,
    "peer_accept": ADMIN,
    # pages/routes.py
    "routes_page": VIEWER,
    "routes_try": OPERATOR,
    "route_check": ADMIN,
    "route_add": ADMIN,
    "route_edit": ADMIN,
    "route_enable": ADMIN,
    "route_move": ADMIN,
    "route_remove": ADMIN,
    # pages/system.py
    "system_page": VIEWER,
    "check_start": OPERATOR,
    "check_seen": VIEWER,
    "selftest_start": ADMIN,
    "selftest_seen": VIEWER,
    "system_bundle": ADMIN,
    # pages/users.py
    "users_page": ADMIN,
    "user_add": ADMIN,
    "user_change": ADMIN,
    "user_reset": ADMIN,
    "user_disable": ADMIN,
    "user_remove": ADMIN,
    "token_add": ADMIN,
    "token_remove": ADMIN,
    # api.py
    "api_page": VIEWER,
    "api_schema": VIEWER,
    "api_now": VIEWER,
    "api_search": VIEWER,
    "api_study": VIEWER,
    "api_outbox": VIEWER,
    "api_associations": VIEWER,
    "api_models": VIEWER,
    "api_model_runs": VIEWER,
    "api_pauses": VIEWER,
    "api_steer_study": OPERATOR,
    "api_steer_job": OPERATOR,
    "api_resend": OPERATOR,
    "api_resend_parked": OPERATOR,
    "api_drop": OPERATOR,
    "api_pause": OPERATOR,
    "api_resume": OPERATOR,
    # api_deliveries.py
    "api_deliveries": VIEWER,
    "api_registered": OPERATOR,
    "api_correct": OPERATOR,
    # api_places.py
    "api_peers": VIEWER,
    "api_peer": VIEWER,
    "api_peer_add": ADMIN,
    "api_peer_edit": ADMIN,
    "api_peer_remove": ADMIN,
    "api_peers_unknown": VIEWER,
    "api_peer_accept": ADMIN,
    "api_peer_echo": OPERATOR,
    "api_peer_probe": OPERATOR,
    "api_routes": VIEWER,
    "api_route": VIEWER,
    "api_route_add": ADMIN,
    "api_route_edit": ADMIN,
    "api_route_remove": ADMIN,
    "api_route_move": ADMIN,
    "api_routes_try": VIEWER,
    "api_check_start": OPERATOR,
    "api_check": VIEWER,
    "api_selftest_start": ADMIN,
    "api_selftest": VIEWER,
    "api_model_check_start": OPERATOR,
    "api_model_check": VIEWER,
    # api_users.py
    "api_users": ADMIN,
    "api_user_add": ADMIN,
    "api_user_change": ADMIN,
    "api_user_reset": ADMIN,
    "api_user_disable": ADMIN,
    "api_user_remove": ADMIN,
    "api_tokens": ADMIN,
    "api_token_add": ADMIN,
    "api_token_remove": ADMIN,
}
"""By the name of the function that answers."""
