"""Exact predictions of what recursion does to exact learners, and the checks that the loop keeps to them."""
