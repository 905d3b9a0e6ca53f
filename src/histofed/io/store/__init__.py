"""Feature, tile and score files: versioned HDF5, written atomically.

``docs/file-formats.md`` is the specification. A file's identity is the digest of the whole record
of how it was made (`record`), so no parameter can be forgotten when a file is found and reused.
"""

from histofed.io.store.common import trident_attributes
from histofed.io.store.features import MIN_CHUNK_ROWS, FeatureStore, SlideFeatures
from histofed.io.store.record import Recipe, Record, record_digest
from histofed.io.store.scores import ScoreStore
from histofed.io.store.tiles import DroppedTiles, SlideTiles, TileStore

__all__ = [
    "MIN_CHUNK_ROWS",
    "DroppedTiles",
    "FeatureStore",
    "Recipe",
    "Record",
    "ScoreStore",
    "SlideFeatures",
    "SlideTiles",
    "TileStore",
    "record_digest",
    "trident_attributes",
]
