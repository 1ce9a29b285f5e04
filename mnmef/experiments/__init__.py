"""Twin experiments, one YAML file each: a system and its observations. May import `systems` and `observations`."""
