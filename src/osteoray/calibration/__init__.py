"""From Hounsfield units to hydroxyapatite density by the phantom in the scan."""
