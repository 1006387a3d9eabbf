"""Gradients of the loss around a checkpoint: batches, passes, spectra, file, rows."""
