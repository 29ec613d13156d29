# SPDX-License-Identifier: MIT
# refused: it takes a second pass of the model over the prompt, which EvictlabPress (evictlab-tools) makes and an exported press does not
