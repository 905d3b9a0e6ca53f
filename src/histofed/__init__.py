"""histofed: federated computational pathology, from slides to a reviewed prediction."""

__version__ = "0.1.0"
