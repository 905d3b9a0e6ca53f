"""Arithmetic and words: numpy and the standard library only; no disk, no torch."""
