"""The ground that every other room stands on: paths, hashes, files, tables, plug-ins by name.

Belongs here: a format or convention that several rooms share. Not here: anything that knows what a
model, a metric or a study is. It imports no other room.
"""
