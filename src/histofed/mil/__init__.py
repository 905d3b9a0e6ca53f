"""Features -> prediction: bags, aggregators, one LightningModule, attribution."""

from histofed.torchvision_compat import ensure_torchvision_imports

ensure_torchvision_imports()  # Lightning imports it
