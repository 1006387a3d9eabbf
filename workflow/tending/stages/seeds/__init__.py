"""Models that differ in their seed: similarity between them, means and intervals over them."""
