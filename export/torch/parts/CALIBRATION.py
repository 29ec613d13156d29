# SPDX-License-Identifier: MIT
CALIBRATION: dict[str, Tensor] = {}  # read when it is first needed
