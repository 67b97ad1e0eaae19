"""Detectors: programs that say of a text whether a model wrote it. Their word takes documents out, never in."""
