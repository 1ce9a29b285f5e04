"""Twin experiments and the published numbers. May import what lies below: `core` to `experiments`."""
