"""How a CT was made, as far as its calibration depends on it: scanner, tube voltage and kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Protocol:
    """Scans of one protocol may share a line.

    Attributes:
        scanner: manufacturer and model; ingest keeps no serial number, so two scanners of one model are one.
        kvp: tube voltage; None if it is not recorded.
        kernel: reconstruction kernel.
    """

    scanner: str
    kvp: float | None
    kernel: str

    @classmethod
    def of(cls, ct_facts: Mapping) -> Protocol:
        """The protocol in ingest's facts of a CT."""
        scanner = " ".join(str(ct_facts[key]) for key in ("manufacturer", "model") if ct_facts.get(key))
        kernel = (ct_facts.get("series") or {}).get("kernel") or ""
        kvp = ct_facts.get("kvp")
        return cls(scanner, None if kvp is None else float(kvp), str(kernel))

    @property
    def is_known(self) -> bool:
        """Whether another scan can be said to have the same protocol."""
        return bool(self.scanner and self.kernel and self.kvp)

    def facts(self) -> dict:
        """As JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        kvp = "unknown kV" if self.kvp is None else f"{self.kvp:g} kV"
        return f"{self.scanner or 'unknown scanner'}, {kvp}, kernel {self.kernel or 'unknown'}"
