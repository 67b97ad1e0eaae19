"""Models and parents: what was made from what."""
