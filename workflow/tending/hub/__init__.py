"""The network, and the disk that downloads share.

Belongs here: talking to the Hugging Face hub, pinning commits, fetching and deleting weights,
finding revisions with the same weights. Not here: what a study asks of a hub model
(`checkpoints.hub`, `corpus.hub`), or loading weights into a model (`models`).
"""
