"""Bag -> logits and attention: one paper a file; ``configs/aggregator/`` is the list of them."""

from histofed.mil.aggregators.base import Aggregator, MILOutput

__all__ = ["Aggregator", "MILOutput"]
