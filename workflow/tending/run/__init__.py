"""The main process of Snakemake, and what surrounds every job.

Belongs here: checking and planning a study, locks, priorities, resources, the frame of a job.
Not here: any measurement. No module here imports torch.
"""
