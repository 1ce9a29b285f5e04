"""How fast the classical filters and the training run on this machine: `make benchmark`."""
