/* A shared library that is no plugin.
 * SPDX-License-Identifier: MIT */
int something_else(void);
int something_else(void) { return 1; }
