"""Files between stages, their provenance and checksums, logs of jobs, digests of code. May import `core`."""
