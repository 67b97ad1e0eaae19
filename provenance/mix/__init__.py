"""Mixing: from a specification to an immutable training set whose quotas are proved."""
