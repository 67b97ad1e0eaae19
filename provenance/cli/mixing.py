"""Commands that build and prove training sets."""

from __future__ import annotations
