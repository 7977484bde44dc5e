"""Measurements of segments after the definitions of the Image Biomarker Standardisation Initiative (IBSI)."""
