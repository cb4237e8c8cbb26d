"""Studies: many trials, one question. Study files, Optuna, Ray, and what they leave behind."""
