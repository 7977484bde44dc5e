"""What is set in pynetdicom and pydicom for a whole process: nothing of a patient in logs, tolerance for AE titles.

The one module of intake that touches a private name of pynetdicom 3.0.4: `_config.VALIDATORS`, by which it judges
AE titles. It is documented there as a setting, but lives in a private module; hence the pin, and a test.
"""

import logging

import pydicom.config
from pynetdicom import _config

from node.core.identity import is_ae_title


def configure_library() -> None:
    """Settings that hold for a whole process; doing so twice changes nothing."""
    _config.VALIDATORS["AE"] = _judge_ae_title
    # The library logs values from the network whole and with line breaks; the journal tells the same, escaped.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE


def _judge_ae_title(value: object) -> tuple[bool, str]:
    """The standard's rule, but NUL counts as padding: some devices pad AE titles so."""
    fine = isinstance(value, str) and is_ae_title(value.rstrip("\0 ") or "-")
    return fine, "" if fine else "is no AE title"
