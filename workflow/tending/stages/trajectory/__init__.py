"""All checkpoints of one model together: drift, maps, overlap; settings, file, rows."""
