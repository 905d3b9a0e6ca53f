"""The GDC data portal: its manifests, its search, its files.

Slides, clinical tables and mutations of TCGA and others (Grossman et al., New England Journal of
Medicine 375, 2016). Formats and requests follow the GDC API User's Guide and the GDC Data Transfer
Tool User's Guide.
"""

from __future__ import annotations

from histofed.io.gdc.fetch import begun_bytes, fetch, md5_of
from histofed.io.gdc.folder import TABLE, Row, State, look, read_table, write_table
from histofed.io.gdc.manifest import GdcFile, read_manifest
from histofed.io.gdc.patience import Patience
from histofed.io.gdc.portal import PORTAL, Portal, read_token
from histofed.io.gdc.query import STRATEGIES, find_slides
from histofed.io.gdc.workers import Ended, each_file

__all__ = [
    "PORTAL",
    "STRATEGIES",
    "TABLE",
    "Ended",
    "GdcFile",
    "Patience",
    "Portal",
    "Row",
    "State",
    "begun_bytes",
    "each_file",
    "fetch",
    "find_slides",
    "look",
    "md5_of",
    "read_manifest",
    "read_table",
    "read_token",
    "write_table",
]
