/* How often would the experts that tokens choose be in memory? Replays what vl2 trace --routing
 * wrote, or routing that is made up, with several ways to choose what gives way.
 *
 *     replay_routing FILE...                       recorded; the files are one run
 *     replay_routing --known FILE...               begins with what the first half's answers chose,
 *                                                  as a file packed after vl2 calibrate does, or
 *                                                  with nothing
 *     replay_routing --made LAYERS EXPERTS K TOKENS SKEW [SEED]
 *
 * Made-up routing: each layer's experts in an order of their own, the one at place p with weight
 * 1 / p^SKEW (Zipf; 0: all alike), K different ones for each token. Prompts are passes of more than
 * one token; they count as one use for each expert. */
#include "weights/residency.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_EXPERTS 512

typedef struct pass {
    size_t layer, tokens, first, count; /* uses first .. first + count - 1 */
} pass;

typedef struct use {
    uint32_t expert; /* layer * experts + expert */
    uint32_t rows;
    size_t next; /* pass in which it is used next; SIZE_MAX: never */
} use;

typedef struct trace {
    size_t layers, experts, expert_layers;
    pass *passes;
    use *uses;
    size_t pass_count, use_count, pass_capacity, use_capacity;
} trace;

static void *grow(void *block, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) {
        return block;
    }
    *capacity = *capacity > 0 ? 2 * *capacity : 1024;
    block = realloc(block, *capacity * size);
    if (block == NULL) {
        fputs("replay_routing: no memory\n", stderr);
        exit(1);
    }
    return block;
}

static void add_pass(trace *t, size_t layer, size_t tokens)
{
    t->passes = grow(t->passes, &t->pass_capacity, t->pass_count, sizeof(*t->passes));
    t->passes[t->pass_count++] = (pass){layer, tokens, t->use_count, 0};
}

static void add_use(trace *t, size_t expert, size_t rows)
{
    pass *last = &t->passes[t->pass_count - 1];
    t->uses = grow(t->uses, &t->use_capacity, t->use_count, sizeof(*t->uses));
    t->uses[t->use_count++] =
        (use){(uint32_t)(last->layer * t->experts + expert), (uint32_t)rows, SIZE_MAX};
    last->count++;
}

/* ------------------------------------------------------------------------------- reading */

static void fail_line(const char *path, size_t line)
{
    fprintf(stderr, "replay_routing: %s:%zu: expected a line of vl2 trace --routing\n", path, line);
    exit(1);
}

static void read_line(trace *t, char *text, const char *path, size_t number)
{
    char *at;
    size_t layer = strtoul(text, &at, 10), tokens = strtoul(at, &at, 10);
    if (layer >= t->layers || tokens == 0) {
        fail_line(path, number);
    }
    add_pass(t, layer, tokens);
    while (*at == ' ') {
        size_t expert = strtoul(at, &at, 10), rows = 0;
        if (*at == ':') {
            rows = strtoul(at + 1, &at, 10);
        }
        if (expert >= t->experts || rows == 0) {
            fail_line(path, number);
        }
        add_use(t, expert, rows);
    }
}

static void read_trace(trace *t, const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0, number = 1;
    if (file == NULL || getline(&text, &size, file) < 0 ||
        sscanf(text, "vl2 routing 1 %zu %zu", &t->layers, &t->experts) != 2 ||
        t->experts > MOST_EXPERTS) {
        fail_line(path, number);
    }
    while (getline(&text, &size, file) >= 0) {
        read_line(t, text, path, ++number);
    }
    free(text);
    fclose(file);
}

/* ------------------------------------------------------------------------------- making up */

static uint64_t state;

static double draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) * 0x1p-53;
}

static void make_trace(trace *t, size_t layers, size_t experts, size_t k, size_t tokens,
                       double skew, uint64_t seed)
{
    size_t *order = calloc(layers * experts, sizeof(*order));
    double weights[MOST_EXPERTS];
    state = seed * 2 + 88172645463325252u;
    t->layers = layers;
    t->experts = experts;
    for (size_t i = 0; order != NULL && i < layers * experts; i++) { /* shuffled */
        size_t place = i % experts, other = (size_t)(draw() * (double)(place + 1));
        order[i] = place;
        order[i] = order[i - place + other];
        order[i - place + other] = place;
    }
    for (size_t token = 0; order != NULL && token < tokens; token++) {
        for (size_t layer = 0; layer < layers; layer++) {
            add_pass(t, layer, 1);
            for (size_t e = 0; e < experts; e++) {
                /* The k largest of u^(1/w): a draw without replacement. */
                weights[e] = pow(draw(), pow((double)(e + 1), skew));
            }
            for (size_t i = 0; i < k; i++) {
                size_t best = 0;
                for (size_t e = 1; e < experts; e++) {
                    best = weights[e] > weights[best] ? e : best;
                }
                weights[best] = -1;
                add_use(t, order[layer * experts + best], 1);
            }
        }
    }
    free(order);
}

/* ------------------------------------------------------------------------------- replaying */

typedef enum policy { LRU, LRU_LAYER, LFU, FADING, BELADY, POLICIES } policy;

static const char *const names[] = {"LRU", "LRU of each layer", "LFU", "vl2", "Belady"};

typedef struct replay {
    const trace *trace;
    policy policy;
    size_t slots, used;
    bool *there, *wanted;  /* [layers * experts] */
    size_t *last, *counts; /* when an expert was used last; how often */
    size_t *next;          /* the pass in which it is used next */
    size_t *in_layer;      /* [layers] */
    residency residency;
} replay;

static bool gives_way(const replay *r, size_t a, size_t b, size_t layer)
{
    switch (r->policy) {
    case LFU:
        return r->counts[a] != r->counts[b] ? r->counts[a] < r->counts[b] : r->last[a] < r->last[b];
    case FADING:
        return residency_gives_way(&r->residency, a, b, layer);
    case BELADY:
        return r->next[a] > r->next[b];
    default:
        return r->last[a] < r->last[b];
    }
}

/* Makes room for an expert of a layer. */
static bool make_room(replay *r, size_t layer)
{
    size_t experts = r->trace->experts, all = r->trace->layers * experts;
    size_t share = r->slots / r->trace->expert_layers, victim = SIZE_MAX;
    bool own = r->policy == LRU_LAYER;
    if (own ? r->in_layer[layer] < share : r->used < r->slots) {
        return true;
    }
    for (size_t e = own ? layer * experts : 0; e < (own ? (layer + 1) * experts : all); e++) {
        if (r->there[e] && !r->wanted[e] &&
            (victim == SIZE_MAX || gives_way(r, e, victim, layer))) {
            victim = e;
        }
    }
    if (victim == SIZE_MAX) {
        return false; /* all are wanted: it is read and not kept */
    }
    r->there[victim] = false;
    r->used--;
    r->in_layer[victim / experts]--;
    return true;
}

static size_t run_pass(replay *r, size_t index)
{
    const pass *p = &r->trace->passes[index];
    const use *uses = &r->trace->uses[p->first];
    size_t hits = 0;
    residency_begin(&r->residency, p->tokens);
    for (size_t i = 0; i < p->count; i++) {
        size_t expert = uses[i].expert;
        hits += r->there[expert];
        r->wanted[expert] = true;
        r->counts[expert]++;
        r->last[expert] = index + 1;
        r->next[expert] = uses[i].next;
        residency_use(&r->residency, expert, uses[i].rows, p->tokens);
    }
    for (size_t i = 0; i < p->count; i++) {
        size_t expert = uses[i].expert;
        if (!r->there[expert] && make_room(r, p->layer)) {
            r->there[expert] = true;
            r->used++;
            r->in_layer[p->layer]++;
        }
    }
    for (size_t i = 0; i < p->count; i++) {
        r->wanted[uses[i].expert] = false;
    }
    if (p->tokens > 1) { /* as weights/pager.c does */
        size_t experts = r->trace->experts, order[MOST_EXPERTS];
        size_t fair = r->slots > experts ? (r->slots - experts) / r->trace->expert_layers : 0;
        residency_passed(&r->residency, p->layer, r->there + p->layer * experts, fair, order);
    }
    return hits;
}

/* What the answers of passes 0 .. count - 1 used, as weights/pager.c begins with it. */
static void know(const trace *t, size_t count, residency *residency)
{
    double *uses = calloc(t->layers * t->experts, sizeof(*uses));
    for (size_t i = 0; uses != NULL && i < count; i++) {
        const pass *p = &t->passes[i];
        for (size_t u = p->first; p->tokens == 1 && u < p->first + p->count; u++) {
            uses[t->uses[u].expert]++;
        }
    }
    for (size_t first = 0; uses != NULL && first < t->layers * t->experts; first += t->experts) {
        double all = 0;
        for (size_t e = 0; e < t->experts; e++) {
            all += uses[first + e];
        }
        for (size_t e = 0; e < t->experts && all > 0; e++) {
            residency_know(residency, first + e, uses[first + e] / all);
        }
    }
    free(uses);
}

/* How a run begins. */
typedef enum beginning { WARM, COLD, KNOWN } beginning;

/* Share of the uses that found their expert in memory, in the second half of the run. The first
 * half warms up, or is left out, or what its answers used is known. */
static double run_policy(const trace *t, policy policy, size_t slots, double half_life,
                         double prompt, beginning beginning)
{
    size_t all = t->layers * t->experts, hits = 0, uses = 0;
    replay r = {.trace = t,
                .policy = policy,
                .slots = slots,
                .there = calloc(all, sizeof(bool)),
                .wanted = calloc(all, sizeof(bool)),
                .last = calloc(all, sizeof(size_t)),
                .counts = calloc(all, sizeof(size_t)),
                .next = calloc(all, sizeof(size_t)),
                .in_layer = calloc(t->layers, sizeof(size_t))};
    if (!residency_open(t->layers, t->experts, &r.residency) || !r.there || !r.wanted || !r.last ||
        !r.counts || !r.next || !r.in_layer) {
        fputs("replay_routing: no memory\n", stderr);
        exit(1);
    }
    r.residency.half_life = half_life;
    r.residency.prompt = prompt;
    if (beginning == KNOWN) {
        know(t, t->pass_count / 2, &r.residency);
    }
    for (size_t i = beginning == WARM ? 0 : t->pass_count / 2; i < t->pass_count; i++) {
        size_t found = run_pass(&r, i);
        if (i >= t->pass_count / 2) {
            hits += found;
            uses += t->passes[i].count;
        }
    }
    residency_close(&r.residency);
    free(r.there);
    free(r.wanted);
    free(r.last);
    free(r.counts);
    free(r.next);
    free(r.in_layer);
    return uses > 0 ? (double)hits / (double)uses : 0;
}

static void find_next(trace *t)
{
    size_t *next = malloc(t->layers * t->experts * sizeof(*next));
    bool *seen = calloc(t->layers, sizeof(*seen));
    for (size_t i = 0; next != NULL && i < t->layers * t->experts; i++) {
        next[i] = SIZE_MAX;
    }
    for (size_t i = t->pass_count; next != NULL && seen != NULL && i-- > 0;) {
        const pass *p = &t->passes[i];
        t->expert_layers += !seen[p->layer];
        seen[p->layer] = true;
        for (size_t u = p->first; u < p->first + p->count; u++) {
            t->uses[u].next = next[t->uses[u].expert];
            next[t->uses[u].expert] = i;
        }
    }
    free(next);
    free(seen);
}

static void print_table(const trace *t)
{
    static const double shares[] = {0.75, 0.5, 0.3, 0.2, 0.1, 0.05};
    static const double settings[][2] = {/* half life, prompt */
                                         {16, 4},  {64, 4},   {1024, 4},
                                         {256, 1}, {256, 16}, {256, 256}};
    const size_t setting_count = sizeof(settings) / sizeof(settings[0]);
    size_t all = t->expert_layers * t->experts;
    printf("%zu layers of %zu experts, %zu passes, %.1f experts each\n\n| in memory |",
           t->expert_layers, t->experts, t->pass_count,
           (double)t->use_count / (double)t->pass_count);
    for (int p = 0; p < POLICIES; p++) {
        printf(" %s |", names[p]);
    }
    for (size_t h = 0; h < setting_count; h++) {
        printf(" vl2, %.0f, %.0f |", settings[h][0], settings[h][1]);
    }
    printf("\n|---|");
    for (size_t i = 0; i < POLICIES + setting_count; i++) {
        printf("---|");
    }
    putchar('\n');
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        size_t slots = (size_t)(shares[i] * (double)all);
        printf("| %.0f %% |", 100 * shares[i]);
        for (policy p = 0; p < POLICIES; p++) {
            printf(" %.1f |",
                   100 * run_policy(t, p, slots, RESIDENCY_HALF_LIFE, RESIDENCY_PROMPT, WARM));
        }
        for (size_t h = 0; h < setting_count; h++) {
            printf(" %.1f |",
                   100 * run_policy(t, FADING, slots, settings[h][0], settings[h][1], WARM));
        }
        putchar('\n');
    }
}

static void print_known(const trace *t)
{
    static const double shares[] = {0.75, 0.5, 0.3, 0.2};
    printf("| in memory | nothing known | the first half's counts | behind the first half |\n"
           "|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        size_t slots = (size_t)(shares[i] * (double)(t->expert_layers * t->experts));
        printf("| %.0f %% |", 100 * shares[i]);
        const beginning order[] = {COLD, KNOWN, WARM};
        for (int b = 0; b < 3; b++) {
            printf(" %.1f |", 100 * run_policy(t, FADING, slots, RESIDENCY_HALF_LIFE,
                                               RESIDENCY_PROMPT, order[b]));
        }
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    trace t = {0};
    if (argc < 2) {
        fputs("usage: replay_routing [--known] FILE...\n"
              "       replay_routing --made LAYERS EXPERTS K TOKENS SKEW [SEED]\n",
              stderr);
        return 2;
    }
    if (strcmp(argv[1], "--made") == 0) {
        if (argc < 7 || strtoul(argv[3], NULL, 10) > MOST_EXPERTS) {
            return 2;
        }
        make_trace(&t, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10),
                   strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10), strtod(argv[6], NULL),
                   argc > 7 ? strtoul(argv[7], NULL, 10) : 1);
    }
    bool known = strcmp(argv[1], "--known") == 0;
    for (int i = known ? 2 : 1; i < argc && strcmp(argv[1], "--made") != 0; i++) {
        read_trace(&t, argv[i]);
    }
    find_next(&t);
    (known ? print_known : print_table)(&t);
    free(t.passes);
    free(t.uses);
    return 0;
}
