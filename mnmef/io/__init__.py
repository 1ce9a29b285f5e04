"""Files between the stages of the pipeline, their provenance, logs of jobs and digests of code. May import `core`."""
