"""Composition root: the only floor that knows Hydra and every room; one verb a file."""
