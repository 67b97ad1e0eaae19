"""Descriptions of datasets in the field's formats as sources: Croissant files, dataset cards of the hub."""
