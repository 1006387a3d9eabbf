"""When do a language model's layers settle? Convergence and effective rank over checkpoints."""
