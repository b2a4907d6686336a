"""Files and ids to batches: sources with their checks, splits, loaders."""
