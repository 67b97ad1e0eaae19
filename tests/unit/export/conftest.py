"""Stores for the tests of exports."""

from __future__ import annotations

import pytest

from tests.unit.mix.corpus import add_documents, standard_rows


@pytest.fixture
def empty_store(make_store):
    return make_store()


@pytest.fixture
def store(empty_store):
    """200 human documents of 40 to 60 words, 300 of two models, 50 of unknown origin."""
    add_documents(empty_store, standard_rows())
    return empty_store
