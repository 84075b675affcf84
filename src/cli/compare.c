/* vl2 compare: how far one form of a model is from another. */
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/request.h"
#include "cli/samples.h"
#include "cli/streams.h"
#include "vl2.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MODELS 2 /* words in front of the conversations */

typedef struct comparing {
    const arguments *arguments;
    request a, b;
    vl2_comparison comparison;
    vl2_comparison_summary all, prompt, answer;
} comparing;

static int run_sample(const vl2_conversation *conversation, const char *file, void *user)
{
    comparing *run = user;
    vl2_compare_options options;
    vl2_compare_options_defaults(&options);
    options.tokens = (int)argument(run->arguments, OPTION_PREDICT)->integer;
    options.positions = (int)argument(run->arguments, OPTION_POSITIONS)->integer;
    vl2_error error;
    vl2_status status = vl2_compare(run->a.session, run->b.session, conversation, &options,
                                    &run->comparison, &error);
    progress_clear(&run->a.progress);
    progress_clear(&run->b.progress);
    if (status == VL2_OK && interrupt_signal() != 0) { /* between two conversations */
        error = (vl2_error){.status = VL2_ERROR_CANCELLED};
        status = VL2_ERROR_CANCELLED;
    }
    if (status == VL2_ERROR_ARGUMENT) { /* the models, whatever the conversation */
        return fail_status(run->arguments->command, &error);
    }
    return status == VL2_OK ? EXIT_CODE_OK : fail_sample(run->arguments, file, &error);
}

/* ------------------------------------------------------------------------------- as text */

static void print_part(const char *name, const vl2_comparison_summary *part)
{
    if (part->tokens > 0) {
        printf("%-9s %8zu %9.3g %9.3g %9.3g %9.3g %8.2f %% %9.4g %9.4g\n", name, part->tokens,
               part->mean, part->median, part->p99, part->max, 100 * part->agreement,
               part->perplexity_a, part->perplexity_b);
    }
}

static void print_deviation(const char *name, const vl2_deviation *deviation)
{
    if (deviation->rows > 0) {
        printf("%-9s %9.3g\n", name, deviation->error);
    }
}

static void print_layers(const vl2_comparison *comparison)
{
    printf("\n%-9s %9s %14s\n", "output of", "error", "same experts");
    print_deviation("vision", &comparison->vision);
    print_deviation("projector", &comparison->projector);
    print_deviation("embedding", &comparison->embedding);
    for (size_t i = 0; i < comparison->layer_count; i++) {
        const vl2_compared_layer *layer = &comparison->layers[i];
        printf("layer %-3zu %9.3g", i, layer->hidden.error);
        if (layer->choices > 0) {
            printf(" %12.2f %%", 100 * (double)layer->equal / (double)layer->choices);
        }
        putchar('\n');
    }
}

static void print_report(const comparing *run)
{
    const vl2_comparison *comparison = &run->comparison;
    printf("A  %s\nB  %s\n%zu conversation%s, %" PRIu64 " positions\n\n",
           run->arguments->operands[0], run->arguments->operands[1], comparison->conversations,
           comparison->conversations == 1 ? "" : "s", comparison->embedding.rows);
    printf("%-9s %8s %39s %10s %19s\n", "", "", "KL divergence of next token (nats)", "same most",
           "perplexity");
    printf("%-9s %8s %9s %9s %9s %9s %10s %9s %9s\n", "", "tokens", "mean", "median", "p99", "max",
           "likely", "A", "B");
    print_part("prompt", &run->prompt);
    print_part("answer", &run->answer);
    print_part("all", &run->all);
    print_layers(comparison);
}

/* ------------------------------------------------------------------------------- as JSON */

static json_t *part_json(const vl2_comparison_summary *part)
{
    return part->tokens == 0
               ? json_null()
               : json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "tokens",
                           (json_int_t)part->tokens, "kl_mean", json_number(part->mean),
                           "kl_median", json_number(part->median), "kl_p99",
                           json_number(part->p99), "kl_max", json_number(part->max), "agreement",
                           json_number(part->agreement), "perplexity_a",
                           json_number(part->perplexity_a), "perplexity_b",
                           json_number(part->perplexity_b));
}

static json_t *error_json(const vl2_deviation *deviation)
{
    return deviation->rows > 0 ? json_number(deviation->error) : json_null();
}

static json_t *layers_json(const vl2_comparison *comparison)
{
    json_t *list = json_array();
    for (size_t i = 0; i < comparison->layer_count; i++) {
        const vl2_compared_layer *layer = &comparison->layers[i];
        json_t *share = layer->choices > 0
                            ? json_number((double)layer->equal / (double)layer->choices)
                            : json_null();
        if (json_array_append_new(list, json_pack("{s:I, s:o, s:o}", "layer", (json_int_t)i,
                                                  "error", error_json(&layer->hidden),
                                                  "same_experts", share)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *tokens_json(const vl2_comparison *comparison)
{
    json_t *list = json_array();
    for (size_t i = 0; i < comparison->token_count; i++) {
        const vl2_compared_token *token = &comparison->tokens[i];
        json_t *entry = json_pack(
            "{s:I, s:I, s:b, s:i, s:i, s:i, s:o, s:o, s:o}", "conversation",
            (json_int_t)token->conversation, "position", (json_int_t)token->position, "answer",
            token->answer, "token", token->token, "best_a", token->best_a, "best_b", token->best_b,
            "kl", json_number(token->divergence), "log_a", json_number(token->log_a), "log_b",
            json_number(token->log_b));
        if (json_array_append_new(list, entry) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *report_json(const comparing *run)
{
    const vl2_comparison *comparison = &run->comparison;
    const char *a = run->arguments->operands[0], *b = run->arguments->operands[1];
    return json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "a",
                     json_text(a, strlen(a)), "b", json_text(b, strlen(b)), "conversations",
                     (json_int_t)comparison->conversations, "positions",
                     (json_int_t)comparison->embedding.rows, "all", part_json(&run->all), "prompt",
                     part_json(&run->prompt), "answer", part_json(&run->answer), "vision_error",
                     error_json(&comparison->vision), "projector_error",
                     error_json(&comparison->projector), "embedding_error",
                     error_json(&comparison->embedding), "layers", layers_json(comparison),
                     "tokens", tokens_json(comparison));
}

/* ------------------------------------------------------------------------------- all of it */

static int summarize(comparing *run)
{
    vl2_error error;
    const vl2_comparison *found = &run->comparison;
    vl2_status status = vl2_comparison_summarize(found, VL2_COMPARED_ALL, &run->all, &error);
    if (status == VL2_OK) {
        status = vl2_comparison_summarize(found, VL2_COMPARED_PROMPT, &run->prompt, &error);
    }
    if (status == VL2_OK) {
        status = vl2_comparison_summarize(found, VL2_COMPARED_ANSWER, &run->answer, &error);
    }
    return status == VL2_OK ? EXIT_CODE_OK : fail_status(run->arguments->command, &error);
}

static int compare(comparing *run)
{
    double began = progress_clock();
    interrupt_cancels(run->a.session);
    int code = samples_each(run->arguments, MODELS, run_sample, run);
    interrupt_noted();
    if (code == EXIT_CODE_OK) {
        code = summarize(run);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    char duration[FORMAT_SIZE], memory[FORMAT_SIZE];
    if (!argument(run->arguments, OPTION_QUIET)->on &&
        (run->a.progress.active || argument(run->arguments, OPTION_VERBOSE)->on)) {
        fprintf(stderr, "[%" PRIu64 " positions by both: %s; both sessions %s]\n",
                run->comparison.embedding.rows, format_duration(progress_clock() - began, duration),
                format_bytes(vl2_session_memory(run->a.session) +
                                 vl2_session_memory(run->b.session), memory));
    }
    if (argument(run->arguments, OPTION_JSON)->on) {
        return print_json(run->arguments->command, report_json(run));
    }
    print_report(run);
    return EXIT_CODE_OK;
}

static int open_model(request *request, const arguments *arguments, const char *path)
{
    int code = request_open_model(request, arguments, path, false);
    return code == EXIT_CODE_OK ? request_open_session(request) : code;
}

static int run_compare(const arguments *arguments)
{
    if (arguments->operand_count < MODELS) {
        return fail_usage(arguments->command, "%s: name two, A which is the truth and B",
                          arguments->operand_count == 0 ? "no models" : "only one model");
    }
    int code = samples_check(arguments, MODELS);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    comparing run = {.arguments = arguments};
    code = open_model(&run.a, arguments, arguments->operands[0]);
    if (code == EXIT_CODE_OK) {
        code = open_model(&run.b, arguments, arguments->operands[1]);
    }
    if (code == EXIT_CODE_OK) {
        code = compare(&run);
    }
    vl2_comparison_clear(&run.comparison);
    request_close(&run.a);
    request_close(&run.b);
    return finish_output(arguments->command, code);
}

const command command_compare = {
    "compare",
    COMMAND_COMPARE,
    "A B --conversation FILE... [options]",
    "Compare two forms of one model",
    "Runs conversations through two models of one shape, such as a checkpoint and what vl2 pack "
    "made of it, and reports how far B is from A: the divergence of what they expect as the next "
    "token, how often they agree on the most likely one, and how far hidden states and choices of "
    "experts are apart in each layer. A is taken for the truth, so the order matters: the text "
    "that both are given is A's answer, and errors are relative to A.",
    "  vl2 compare deepseek-vl2-tiny tiny.vl2 --conversation talks/*.json\n"
    "  vl2 compare deepseek-vl2-tiny tiny.vl2 --conversation book.txt --positions 900\n",
    SIZE_MAX,
    run_compare,
};
