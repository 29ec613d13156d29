# SPDX-License-Identifier: MIT
BLOCK_VALUES = 2**25  # of attention at a time, where a column looks at all queries
