"""Pages for readers: the summary, and findings in words.

Belongs here: text and HTML made from tables. Not here: figures (`figures`), or the numbers
themselves (`stages`).
"""
