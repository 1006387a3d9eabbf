"""From weights on disk to a model in memory.

Belongs here: reading and checking checkpoint folders, loading with an explicit dtype, devices, and
what makes a forward pass quick. Not here: which weights a component means (`components`,
`families`), or what is computed from a pass (`stages`).
"""
