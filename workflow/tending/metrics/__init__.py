"""Numbers computed from arrays: no files, no models."""
