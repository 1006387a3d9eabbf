"""Models that differ in their seed only: similarity between them, means and intervals over them."""
