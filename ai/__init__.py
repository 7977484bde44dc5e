"""Models: a volume in, findings out. Knows no network, database, DICOM file or setting."""
