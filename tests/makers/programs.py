"""Programs that tests start end with the test run, also with one that is killed."""

ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""What stands before a command: left alone, it would keep ports, memory and files from the next run."""
