"""What a press is told of a prompt: by asking the model's attention itself what it uses.

EvictlabPress follows from it, and so does every press that `evictlab export --to kvpress` writes: such a file holds,
word for word, what stands in these files below the line that says so. So nothing else of this package is used here.
"""
# SPDX-License-Identifier: MIT
