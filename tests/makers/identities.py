"""Reads the identity of a data set that is there as a whole, as the door does of one that passes in pieces."""

from node.intake.instance import Identity, IdentityReader


def read_identity(data_set: bytes, syntax: str) -> Identity:
    """Raises as IdentityReader does."""
    reader = IdentityReader(syntax)
    reader.feed(data_set)
    return reader.finish(len(data_set))
