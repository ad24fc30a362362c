"""The app of `staff` on a system that has no memory to share."""

import os

if hasattr(os, "memfd_create"):
    del os.memfd_create

from tests.integration.staff import app

__all__ = ["app"]
