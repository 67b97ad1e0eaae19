"""Filters of a model's output: what curated arms may be trained on, and which documents of unknown origin are human."""
