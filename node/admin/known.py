"""What pages and REST both ask of a node: is a model known, and which callers are not."""

from node.admin.window import Window
from node.errors import NotFound
from node.settings import Configuration
from node.state.listings import Call, calls


def known_model(window: Window, name: str) -> str:
    """The name of an installed model. Raises NotFound."""
    if name not in window.model_names:
        raise NotFound(f"no model is called {name!r}")
    return name


def unknown_callers(window: Window, configuration: Configuration) -> list[Call]:
    """The last call of each AE title and address that was turned away and is of no peer. Who gave no title, as senders
    by STOW-RS whose token is wrong, cannot be accepted by one."""
    known = {one.ae_title for one in configuration.peers}
    with window.ledger.read() as connection:
        lately = calls(connection, rejected=True)
    latest: dict[tuple[str, str], Call] = {}
    for call in lately:
        if call.calling_ae and call.calling_ae not in known:
            latest.setdefault((call.calling_ae, call.address), call)
    return list(latest.values())
