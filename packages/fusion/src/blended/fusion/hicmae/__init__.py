"""HiCMAE on the clips themselves (arXiv 2401.05698): pre-training, and fine-tuning as a strategy."""
