/* A C program that asks libevictlab which of eight tokens two heads keep. SPDX-License-Identifier: MIT */
#include <evictlab/evictlab.h>

#include <stdio.h>

#define TOKENS 8
#define DIM 2

static int fail(const char* where, const evl_failure* failure) {
    fprintf(stderr, "%s: %s\n", where, failure->text);
    return 1;
}

int main(int argc, char** argv) {
    float k[2][TOKENS][DIM], v[2][TOKENS][DIM] = {{{0}}};
    uint8_t kept[2][TOKENS];
    const double removed = 0.5;
    evl_lab* lab = NULL;
    evl_scorer* scorer = NULL;
    evl_failure failure;
    evl_layer layer = {.struct_size = sizeof(evl_layer), .num_layers = 1, .query_heads = 2, .kv_heads = 2};
    for (int i = 0; i < TOKENS; ++i) {
        k[0][i][0] = (float)(i + 1); /* head 0 has its short keys first, head 1 last */
        k[1][i][0] = (float)(TOKENS - i);
        k[0][i][1] = k[1][i][1] = 0;
    }
    layer.tokens = TOKENS;
    layer.dim = DIM;
    layer.k = &k[0][0][0];
    layer.v = &v[0][0][0];
    layer.k_head_stride = layer.v_head_stride = TOKENS * DIM;
    layer.k_token_stride = layer.v_token_stride = DIM;
    layer.softmax_scale = layer.rope_scale = 1;
    if (evl_lab_open(NULL, 0, &lab, &failure) != EVL_OK) return fail("lab", &failure);
    if (evl_scorer_open(lab, argc > 1 ? argv[1] : "knorm@kvpress", &scorer, &failure) != EVL_OK)
        return fail("scorer", &failure);
    if (evl_scorer_keep(scorer, &layer, &removed, 1, &kept[0][0], NULL, NULL, &failure) != EVL_OK)
        return fail("keep", &failure);
    for (int h = 0; h < 2; ++h) {
        for (int i = 0; i < TOKENS; ++i) putchar(kept[h][i] ? '1' : '0');
        putchar('\n');
    }
    evl_scorer_close(scorer);
    evl_lab_close(lab);
    return 0;
}
