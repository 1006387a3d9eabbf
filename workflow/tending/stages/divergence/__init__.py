"""How far next-token predictions are from the reference's: settings, passes, file, rows."""
