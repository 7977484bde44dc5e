"""The command line: each command translates, calls one function, and translates back."""

from node.cli.app import main

__all__ = ["main"]
