"""Tests that look at pages in a real browser: `/usr/bin/python3 -m pytest tests/browser`. Skipped where there is no chromium."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
