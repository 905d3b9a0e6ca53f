"""Features -> prediction: bags, aggregators, one LightningModule, attribution."""
