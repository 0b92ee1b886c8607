"""The only reader of foreign DICOM."""
