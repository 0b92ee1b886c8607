"""Virtual patients: anatomy, CT scanner with phantom, X-ray system; writes raw DICOM and the truth."""
