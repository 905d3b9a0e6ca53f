"""Many sites, one model: rounds, strategies, transports; knows LightningModule, not pathology."""
