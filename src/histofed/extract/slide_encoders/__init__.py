"""Slide encoders: the features of a slide's tiles -> one embedding; one file per paper."""

from histofed.extract.slide_encoders.base import SlideEncoder, SlideEncoderCard
from histofed.extract.slide_encoders.mean import MeanOfFeatures

__all__ = ["MeanOfFeatures", "SlideEncoder", "SlideEncoderCard"]
