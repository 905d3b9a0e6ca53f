"""Lightning callbacks: federation is these, added to an ordinary Trainer, and nothing else."""
