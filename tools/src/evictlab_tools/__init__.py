"""Python tools of Evictlab: what needs the model itself."""
# SPDX-License-Identifier: MIT

__version__ = "1.0.0"
