"""What an operator does to a directory beside running a node on it: backup, restore, verification, compaction."""

from .backup import Backup, backup, read_manifest, restore
from .compact import Compacted, compact
from .verify import Finding, Report, verify

__all__ = [
    "Backup",
    "Compacted",
    "Finding",
    "Report",
    "backup",
    "compact",
    "read_manifest",
    "restore",
    "verify",
]
