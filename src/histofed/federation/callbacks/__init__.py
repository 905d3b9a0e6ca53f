"""Lightning callbacks: federation is these, added to an ordinary Trainer, and nothing else."""

from histofed.torchvision_compat import ensure_torchvision_imports

ensure_torchvision_imports()  # Lightning imports it
