"""Tables made of tables: associations, effects, late degradation, the published comparison.

Belongs here: a question that needs several stages' tables. Not here: what one stage can say alone.
"""
