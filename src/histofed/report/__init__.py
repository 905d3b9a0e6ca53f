"""Figures, slide pictures and the HTML report; runs without torch."""
