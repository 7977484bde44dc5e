"""The kinds of protocol data units, which the node reads and writes on both sides of an association."""

from enum import IntEnum


class PduType(IntEnum):
    """First byte of a PDU (PS3.8 section 9.3.1)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7
