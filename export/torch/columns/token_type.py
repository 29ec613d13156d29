# SPDX-License-Identifier: MIT
# refused: it follows from the text of the tokens, and a press is told their hidden states alone
