"""What evicting saves: bytes, and time a token."""
# SPDX-License-Identifier: MIT
