"""From weights on disk to a model in memory.

Belongs here: reading and checking checkpoint folders, loading with an explicit dtype, devices, and
speeding up a forward pass. Not here: the weights of a component (`components`, `families`), or
computations on the results of a pass (`stages`).
"""
