"""The foundation of every other package: paths, hashes, files, tables, plug-ins by name.

Belongs here: a format or convention that several packages share. Not here: anything that knows
about models, metrics or studies. It imports no other package of tending.
"""
