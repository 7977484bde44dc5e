"""Runs the command line: `python -m node` is `isocenter`."""

from node.cli import main

main()
