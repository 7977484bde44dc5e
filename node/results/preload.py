"""Loads what a first result would wait for: the tables of the standard that highdicom reads once in a process."""

import gc

import highdicom as hd
import numpy as np


def load_tables() -> None:
    """Make the smallest image there is and drop it: about half a second, which a study need not wait for."""
    hd.sc.SCImage(
        pixel_array=np.zeros((1, 1), np.uint8),
        photometric_interpretation=hd.PhotometricInterpretationValues.MONOCHROME2,
        bits_allocated=8,
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        study_instance_uid="2.25.1",
        series_instance_uid="2.25.2",
        series_number=1,
        sop_instance_uid="2.25.3",
        instance_number=1,
        manufacturer="",
        patient_orientation=("L", "P"),
    )
    gc.freeze()  # modules and tables stay for good: the collector need not look through them while frames are made
