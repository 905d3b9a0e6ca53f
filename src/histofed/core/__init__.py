"""Arithmetic and words: numpy, scipy and the standard library only; no disk, no torch."""
