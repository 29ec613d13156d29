/* A chat that never runs out of context: each line of standard input is a turn, and however many there are, the model
 * goes on from CELLS cached tokens.
 *
 *     chat MODEL.gguf [CELLS [EVERY [SCORER [THREADS]]]]
 *
 * SPDX-License-Identifier: MIT */
#include <evictlab/evictlab_llama.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { most_bytes = 1 << 16, most_tokens = 1 << 16, longest_answer = 256 };

static void quit(const char* what, const char* why) {
    fprintf(stderr, "chat: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void say_nothing(enum ggml_log_level level, const char* text, void* unused) {
    (void)level, (void)text, (void)unused;
}

/* The turn as the model's chat template has it, or as it is where there is none. */
static const char* formatted(const struct llama_model* model, const char* line, char* into, int32_t size) {
    const char* template = llama_model_chat_template(model, NULL);
    const struct llama_chat_message message = {"user", line};
    const int32_t written = template == NULL ? -1 : llama_chat_apply_template(template, &message, 1, true, into, size);
    if (written < 0 || written >= size) return line;
    into[written] = '\0';
    return into;
}

static void feed(evl_llama* text, const llama_token* tokens, int32_t count) {
    evl_failure why;
    if (evl_llama_feed(text, tokens, (uint64_t)count, &why) != EVL_OK) quit("feed", why.text);
}

/* What the model says until it ends its turn. */
static void answer(evl_llama* text, const struct llama_vocab* vocab, struct llama_sampler* sampler) {
    char piece[256];
    for (int i = 0; i < longest_answer; ++i) {
        const llama_token token = llama_sampler_sample(sampler, evl_llama_context(text), -1);
        feed(text, &token, 1);
        if (llama_vocab_is_eog(vocab, token)) break;
        const int32_t size = llama_token_to_piece(vocab, token, piece, sizeof piece, 0, false);
        if (size > 0) fwrite(piece, 1, (size_t)size, stdout);
    }
    printf("\n[%llu cached of %llu tokens, evicted %llu times]\n", (unsigned long long)evl_llama_cells(text),
           (unsigned long long)evl_llama_position(text), (unsigned long long)evl_llama_evictions(text));
}

static void chat(evl_llama* text, const struct llama_model* model) {
    static char line[most_bytes], turn[2 * most_bytes];
    static llama_token tokens[most_tokens];
    const struct llama_vocab* vocab = llama_model_get_vocab(model);
    struct llama_sampler* sampler = llama_sampler_init_greedy();
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char* said = formatted(model, line, turn, sizeof turn);
        const int32_t count = llama_tokenize(vocab, said, (int32_t)strlen(said), tokens, most_tokens,
                                             evl_llama_position(text) == 0, true);
        if (count <= 0) continue;
        feed(text, tokens, count);
        answer(text, vocab, sampler);
    }
    llama_sampler_free(sampler);
}

int main(int argc, char** argv) {
    if (argc < 2) quit("usage", "chat MODEL.gguf [CELLS [EVERY [SCORER [THREADS]]]]");
    llama_log_set(say_nothing, NULL);
    llama_backend_init();
    struct llama_model_params how = llama_model_default_params();
    how.n_gpu_layers = 0;
    struct llama_model* model = llama_model_load_from_file(argv[1], how);
    if (model == NULL) quit(argv[1], "llama.cpp cannot open it");

    evl_failure why;
    evl_lab* lab;
    evl_scorer* scorer;
    evl_llama* text;
    if (evl_lab_open(NULL, 0, &lab, &why) != EVL_OK) quit("plugins", why.text);
    if (evl_scorer_open(lab, argc > 4 ? argv[4] : "snapkv@kvpress", &scorer, &why) != EVL_OK) quit("scorer", why.text);
    const evl_llama_options options = {.struct_size = sizeof options,
                                       .scorer = scorer,
                                       .cells = argc > 2 ? strtoull(argv[2], NULL, 10) : 2048,
                                       .every = argc > 3 ? strtoull(argv[3], NULL, 10) : 512,
                                       .model_file = argv[1]};
    struct llama_context_params params = llama_context_default_params();
    if (argc > 5) params.n_threads = atoi(argv[5]);
    if (evl_llama_open(model, &params, &options, &text, &why) != EVL_OK) quit(argv[1], why.text);
    chat(text, model);

    evl_llama_close(text);
    evl_scorer_close(scorer);
    evl_lab_close(lab);
    llama_model_free(model);
    return 0;
}
