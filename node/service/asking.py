"""Asks the node's service process, over its own port, whether it can work."""

import json
import urllib.error
import urllib.request

from node.settings import AdminTable

PATIENCE_S = 3.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what to call where it listens everywhere


def url_of(bind: str, port: int) -> str:
    """Where this machine itself reaches what listens there by HTTP."""
    host = EVERYWHERE.get(bind, bind)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def why_not_ready(admin: AdminTable) -> str:
    """What keeps a running service from its work, in its own words; empty where nothing does."""
    address = f"{url_of(admin.bind, admin.port)}/ready"
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_S):  # noqa: S310  always http
            return ""
    except urllib.error.HTTPError as error:
        return str(json.load(error)["why"])
    except OSError as error:
        return f"the service process does not answer at {address} ({error}): look into its log"
