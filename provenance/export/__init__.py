"""Exports: verified training sets as files that trainers read."""
