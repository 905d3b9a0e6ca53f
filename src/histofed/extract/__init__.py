"""Slide -> features: tissue, tiles, encoder."""
