"""The pathologist's page: which patients, which slide, where the model looked. Without torch."""

from histofed.review.app import create_app
from histofed.review.data import Case, ReviewData
from histofed.review.serve import serve

__all__ = ["Case", "ReviewData", "create_app", "serve"]
