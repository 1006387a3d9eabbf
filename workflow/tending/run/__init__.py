"""The main process of Snakemake, and the setup around every job.

Belongs here: checking and planning a study, locks, priorities, resources, setup of a job.
Not here: any measurement. No module here imports torch.
"""
