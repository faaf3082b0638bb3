"""Folders of results: begin one, refuse one, resume one, and say how it was made."""

from render3d.runs.checkpoint import Checkpoint, Saved
from render3d.runs.folder import CHECKPOINT, CONFIG, RunConfig, RunFolder
from render3d.runs.identity import changes_between, fingerprint
from render3d.runs.provenance import provenance
from render3d.runs.readiness import check_ready

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "Checkpoint",
    "RunConfig",
    "RunFolder",
    "Saved",
    "changes_between",
    "check_ready",
    "fingerprint",
    "provenance",
]
