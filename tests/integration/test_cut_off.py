"""A database whose cable is pulled while it is asked: neither side waits for the other longer than a minute."""

import subprocess
import sys
import time
from dataclasses import replace

import psycopg
import pytest

from tests.makers.hosts import new_host
from tests.makers.postgres import running_postgres
from tests.makers.programs import ENDS_WITH_US

pytestmark = [pytest.mark.real("postgresql", "namespaces"), pytest.mark.slow]
LIMIT_S = 90.0
KEY = 7
ASK = f"""
import sys
import psycopg
from node.state import postgres
idle, asking = (psycopg.connect(sys.argv[1], autocommit=True, **getattr(postgres, sys.argv[2])) for _ in range(2))
idle.execute("SELECT pg_advisory_lock({KEY})")
print("held", flush=True)
asking.execute("SELECT pg_sleep(600)")
"""


@pytest.mark.parametrize("settings", ["LEDGERS", "ENGINES"])
def test_each_side_notices_that_the_other_is_gone(settings: str) -> None:
    """What is not answered yet is waited for with nothing on the wire: only a probe tells."""
    with running_postgres("0.0.0.0") as postgres, new_host("cutoff") as host:
        url = replace(postgres, address=host.here).url()
        command = [*ENDS_WITH_US, *host._inside, sys.executable, "-c", ASK, url, settings]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
            assert asking.stdout is not None
            assert asking.stdout.readline() == "held\n"
            host.plug(connected=False)
            _, told = asking.communicate(timeout=LIMIT_S)
        assert "OperationalError" in told
        with psycopg.connect(replace(postgres, address="127.0.0.1").url(), autocommit=True) as here:
            deadline = time.monotonic() + LIMIT_S
            while here.execute("SELECT pg_try_advisory_lock(%s)", (KEY,)).fetchone() != (True,):
                assert time.monotonic() < deadline, "the server waits for who is gone"
                time.sleep(0.2)
