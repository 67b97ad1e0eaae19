"""Scores and labels from any tool, attached to documents that are in the store already."""
