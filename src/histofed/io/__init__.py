"""Every file format of the house, and nowhere else. Never imports torch."""
