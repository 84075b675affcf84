/* vl2 plan: what fits into how much memory? */
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/format.h"
#include "cli/ram.h"
#include "cli/request.h"
#include "cli/streams.h"
#include "vl2.h"

#include <stdio.h>

static void print_line(const char *name, uint64_t bytes, const char *what)
{
    char text[FORMAT_SIZE];
    printf("  %-22s %10s   %s\n", name, format_bytes(bytes, text), what);
}

static double share(size_t part, size_t all)
{
    return all > 0 ? (double)part / (double)all : 0;
}

static void print_experts(const vl2_plan *plan)
{
    char one[FORMAT_SIZE], all[FORMAT_SIZE], token[FORMAT_SIZE], line[160];
    size_t slots = plan->slots < plan->experts ? plan->slots : plan->experts;
    snprintf(line, sizeof(line), "%zu of %zu routed experts, %.0f %%", slots, plan->experts,
             100 * share(slots, plan->experts));
    print_line("experts", (uint64_t)slots * plan->expert_bytes, line);
    printf("\nAn expert takes %s, all of them %s. A token uses %zu of them, %s;\n",
           format_bytes(plan->expert_bytes, one),
           format_bytes((uint64_t)plan->experts * plan->expert_bytes, all), plan->experts_per_token,
           format_bytes((uint64_t)plan->experts_per_token * plan->expert_bytes, token));
    double missing = (double)plan->experts_per_token * (1 - share(slots, plan->experts));
    printf("if all were used alike, %s of that would be read from the file for each token.\n",
           format_bytes((uint64_t)(missing * (double)plan->expert_bytes), token));
}

static void print_plan(const char *path, const vl2_plan *plan)
{
    char ram[FORMAT_SIZE], least[FORMAT_SIZE], everything[FORMAT_SIZE];
    printf("%s in %s\n\n", path, format_bytes(plan->ram, ram));
    print_line("program", plan->program, "without weights and conversation");
    print_line(plan->pageable ? "weights for every token" : "weights", plan->resident,
               plan->pageable ? "attention, shared experts, embedding, head, router, norms"
                              : "all of them, mapped");
    char context[48];
    snprintf(context, sizeof(context), "for %d tokens (-c)", plan->context);
    print_line("KV cache", plan->cache, context);
    print_line("work space", plan->work, "of the decoder (--chunk)");
    print_line("pictures", plan->pictures, "decoded, cut into tiles, as rows of the prompt");
    if (!plan->pageable) {
        print_line("vision work space", plan->vision_work, "");
        printf("\nOnly packed files (vl2 pack) can be run in less memory than they take.\n");
    } else if (plan->slots > 0) {
        print_experts(plan);
        printf("\nWhile pictures are encoded, the vision tower takes %s in place of %zu experts.\n",
               format_bytes(plan->vision + plan->vision_work, ram),
               plan->slots - plan->slots_encoding);
    }
    printf("\nThe least that works is %s; from %s on, all weights stay in memory.\n",
           format_bytes(plan->least, least), format_bytes(plan->everything, everything));
    printf("%s\n", plan->ram < plan->least ? "This is too little."
                   : plan->ram >= plan->everything
                       ? "Everything fits."
                       : "Experts are read from the file as they are needed.");
}

static json_t *plan_json(const vl2_plan *plan)
{
    return json_pack(
        "{s:I, s:b, s:b, s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:I, "
        "s:I}",
        "ram", (json_int_t)plan->ram, "pageable", plan->pageable, "works", plan->ram >= plan->least,
        "everything_fits", plan->ram >= plan->everything, "context", plan->context, "program",
        (json_int_t)plan->program, "resident", (json_int_t)plan->resident, "kv_cache",
        (json_int_t)plan->cache, "work", (json_int_t)plan->work, "pictures",
        (json_int_t)plan->pictures, "vision", (json_int_t)plan->vision, "vision_work",
        (json_int_t)plan->vision_work, "expert_bytes", (json_int_t)plan->expert_bytes, "experts",
        (json_int_t)plan->experts, "experts_per_token", (json_int_t)plan->experts_per_token,
        "slots", (json_int_t)plan->slots, "slots_encoding", (json_int_t)plan->slots_encoding,
        "least", (json_int_t)plan->least, "everything", (json_int_t)plan->everything);
}

static int run_plan(const arguments *arguments)
{
    const char *path = request_model_path(arguments);
    uint64_t ram;
    if (path == NULL) {
        return EXIT_CODE_USAGE;
    }
    int code = ram_option(arguments, &ram);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    vl2_session_options session;
    session_options(arguments, &session);
    vl2_model *model;
    vl2_plan plan;
    vl2_error error;
    if (vl2_model_open(path, NULL, &model, &error) != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    vl2_status status =
        vl2_model_plan(model, ram == 0 ? VL2_RAM_AUTO : ram, &session, &plan, &error);
    vl2_model_close(model);
    if (status != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    if (argument(arguments, OPTION_JSON)->on) {
        code = print_json(arguments->command, plan_json(&plan));
    } else {
        print_plan(path, &plan);
        code = finish_output(arguments->command, EXIT_CODE_OK);
    }
    return code == EXIT_CODE_OK && plan.ram < plan.least ? EXIT_CODE_MEMORY : code;
}

const command command_plan = {
    "plan",
    COMMAND_PLAN,
    "-m MODEL [--ram SIZE] [-c N]",
    "Show what fits into how much memory",
    "Shows what a model and a conversation need of memory, and how many routed experts fit into "
    "the "
    "rest. Nothing is loaded. With less memory than all weights need, vl2 reads experts from the "
    "packed file as they are needed, and gives the same answers. The exit status is 5 if the "
    "memory "
    "is too little.",
    "  vl2 plan -m small.vl2 --ram 4G\n"
    "  vl2 plan -m small.vl2 --ram 50% -c 2048 --json\n",
    0,
    run_plan,
};
