"""Stages of a study, one folder each: settings, computation, file and rows.

A stage may read the files of an earlier stage; it does not otherwise depend on its code.
"""
