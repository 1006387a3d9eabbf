"""Network access, and the disk space that downloads share.

Belongs here: requests to the Hugging Face hub, pinning commits, fetching and deleting weights,
finding revisions with the same weights. Not here: hub models as sources of a study
(`checkpoints.hub`, `corpus.hub`), or loading weights into a model (`models`).
"""
