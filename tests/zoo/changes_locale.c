/* Changes the locale, and with it how numbers are read and written.
 * SPDX-License-Identifier: MIT */
#include <locale.h>

#include "animal.h"

static evl_status create(const double* values, evl_instance** instance, evl_error* error) {
    setlocale(LC_ALL, "C.UTF-8");
    return tame_create(values, instance, error);
}

ANIMAL("changes_locale", USUAL, create, tame_score, tame_destroy);
