"""Divergence of next-token predictions from the reference's: settings, passes, file, rows."""
