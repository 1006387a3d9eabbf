"""Tables derived from tables: associations, effects, late degradation, the published comparison.

Belongs here: questions that need tables of several stages. Not here: those that one can answer.
"""
