"""What a study computes, one folder a stage: its settings, its computation, its file, its rows.

A stage may read what an earlier stage wrote; it does not reach into its code beyond that.
"""
