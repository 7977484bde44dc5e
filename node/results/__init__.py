"""Findings to DICOM objects; the only place where DICOM is written."""
