"""The schema of config.yaml, and the part of it that decides each stage. May import `core` and `io`."""
