"""What the operator's window is handed: the service process's own parts, as it looks at them and asks for them."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from node.actions import Operator
from node.admin.disk import DiskRecord
from node.admin.health import Health
from node.admin.window import Process, Window
from node.service.state import running_processes
from node.settings import Configuration
from node.state.ledger import Ledger
from node.state.queue import Queue


def window_of(
    configuration: Configuration,
    config_folder: Path,
    ledger: Ledger,
    queue: Queue,
    health: Callable[[], Health],
    now: Callable[[], datetime],
) -> Window:
    """The window of the node that this process serves."""
    home = configuration.settings.state.home.absolute()
    return Window(
        ledger=ledger,
        operator=Operator(ledger, queue),
        home=home,
        config_folder=config_folder,
        configuration=lambda: configuration,
        look=health,
        processes=lambda: [Process(**vars(one)) for one in running_processes(home)],
        disk=DiskRecord(
            free_mb=lambda: shutil.disk_usage(home).free >> 20,
            total_mb=lambda: shutil.disk_usage(home).total >> 20,
            reserve_mb=configuration.settings.intake.disk_reserve_mb,
            now=now,
        ),
        now=now,
    )
