"""Many sites, one model: rounds, strategies, transports; knows LightningModule, not pathology."""

from histofed.torchvision_compat import ensure_torchvision_imports

ensure_torchvision_imports()  # Lightning imports it
