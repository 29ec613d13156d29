# SPDX-License-Identifier: MIT
BLOCK_VALUES = 2**25  # of attention at a time, where a column looks at many queries
CACHED_VALUES = 2**20  # on a CPU, whose caches hold no more
LEAST_ROWS = 16  # there: products of fewer rows cost more than the caches save
