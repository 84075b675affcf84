/* The language model of the oracle: modeling_deepseek.py, one sequence, no cache. */
#include "oracle.h"

#include <math.h>
#include <string.h>

#define SELF "language.model.layers.%d.self_attn."

static double *take(size_t count)
{
    double *block = calloc(count > 0 ? count : 1, sizeof(double));
    assert_non_null(block);
    return block;
}

static bool is_true(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

/* DeepseekV2RMSNorm */
static double *rms_norm(const oracle *o, const double *x, size_t count, size_t width,
                        double epsilon, const char *name)
{
    double *weight = oracle_tensor(o, NULL, "%s.weight", name);
    double *y = take(count * width);
    for (size_t t = 0; t < count; t++) {
        double squares = 0;
        for (size_t i = 0; i < width; i++) {
            squares += x[t * width + i] * x[t * width + i];
        }
        for (size_t i = 0; i < width; i++) {
            y[t * width + i] =
                weight[i] * x[t * width + i] / sqrt(squares / (double)width + epsilon);
        }
    }
    free(weight);
    return y;
}

/* ---------------------------------------------------------------------------- rope */

static double yarn_get_mscale(double scale, double mscale)
{
    return scale <= 1 ? 1.0 : 0.1 * mscale * log(scale) + 1.0;
}

static double correction_dim(double rotations, double dim, double base, double positions)
{
    return dim * log(positions / (rotations * 2 * M_PI)) / (2 * log(base));
}

/* yarn_find_correction_range and yarn_linear_ramp_mask at index i. */
static float ramp_at(size_t i, double dim, double base, const json_t *scaling)
{
    double positions = oracle_number(scaling, "original_max_position_embeddings", 4096);
    double fast = oracle_number(scaling, "beta_fast", 32);
    double slow = oracle_number(scaling, "beta_slow", 1);
    double low = floor(correction_dim(fast, dim, base, positions));
    double high = ceil(correction_dim(slow, dim, base, positions));
    low = fmax(low, 0);
    high = fmin(high, dim - 1);
    if (low == high) {
        high += 0.001;
    }
    float linear = ((float)i - (float)low) / (float)(high - low);
    return fminf(fmaxf(linear, 0), 1);
}

void oracle_rope(double theta, const json_t *scaling, size_t width, size_t positions,
                 double *cosines, double *sines)
{
    const char *type = json_string_value(json_object_get(scaling, "type"));
    bool linear = type != NULL && strcmp(type, "linear") == 0;
    bool yarn = type != NULL && strcmp(type, "yarn") == 0;
    double factor = oracle_number(scaling, "factor", 1), mscale = 1;
    if (yarn) {
        mscale = yarn_get_mscale(factor, oracle_number(scaling, "mscale", 1)) /
                 yarn_get_mscale(factor, oracle_number(scaling, "mscale_all_dim", 0));
    }
    for (size_t i = 0; i < width / 2; i++) {
        float power = powf((float)theta, (float)(2 * i) / (float)width);
        float frequency = 1.0f / power;
        if (yarn) {
            float keep = 1.0f - ramp_at(i, (double)width, theta, scaling);
            float between = 1.0f / ((float)factor * power);
            frequency = between * (1.0f - keep) + frequency * keep;
        }
        for (size_t position = 0; position < positions; position++) {
            float t = linear ? (float)position / (float)factor : (float)position;
            float angle = t * frequency;
            cosines[position * (width / 2) + i] = cos((double)angle) * mscale;
            sines[position * (width / 2) + i] = sin((double)angle) * mscale;
        }
    }
}

/* x * cos + rotate_half(x) * sin, x [width]; the second half of cos and sin repeats the first. */
static void rotate(double *x, size_t width, const double *cosines, const double *sines)
{
    size_t half = width / 2;
    for (size_t i = 0; i < half; i++) {
        double a = x[i], b = x[half + i];
        x[i] = a * cosines[i] - b * sines[i];
        x[half + i] = b * cosines[i] + a * sines[i];
    }
}

/* view(d / 2, 2).transpose: pairs become halves. */
static void pairs_to_halves(double *x, size_t width)
{
    double *old = take(width);
    memcpy(old, x, width * sizeof(double));
    for (size_t i = 0; i < width; i++) {
        x[i % 2 * (width / 2) + i / 2] = old[i];
    }
    free(old);
}

typedef struct rope {
    double *cosines, *sines;
    size_t width;
} rope;

static rope rope_for(const oracle *o, size_t width, size_t positions)
{
    rope r = {take(positions * width), take(positions * width), width};
    const json_t *scaling = json_object_get(o->language, "rope_scaling");
    oracle_rope(oracle_number(o->language, "rope_theta", 10000),
                json_is_object(scaling) ? scaling : NULL, width, positions, r.cosines, r.sines);
    return r;
}

static void rope_turn(const rope *r, double *x, size_t position)
{
    rotate(x, r->width, r->cosines + position * (r->width / 2),
           r->sines + position * (r->width / 2));
}

static void rope_free(rope *r)
{
    free(r->cosines);
    free(r->sines);
}

/* ---------------------------------------------------------------------------- attention */

/* One head, causal: q [count, depth] at stride q_stride, and so on; out [value] at out_stride. */
typedef struct head {
    const double *q, *k, *v;
    double *out;
    size_t q_stride, k_stride, v_stride, out_stride, depth, value;
    double scale;
} head;

static void attend(const head *h, size_t count)
{
    double *scores = take(count);
    for (size_t t = 0; t < count; t++) {
        double largest = -INFINITY, sum = 0;
        for (size_t j = 0; j <= t; j++) {
            scores[j] = 0;
            for (size_t i = 0; i < h->depth; i++) {
                scores[j] += h->q[t * h->q_stride + i] * h->k[j * h->k_stride + i];
            }
            scores[j] *= h->scale;
            largest = fmax(largest, scores[j]);
        }
        for (size_t j = 0; j <= t; j++) {
            scores[j] = exp(scores[j] - largest);
            sum += scores[j];
        }
        for (size_t i = 0; i < h->value; i++) {
            double mixed = 0;
            for (size_t j = 0; j <= t; j++) {
                mixed += scores[j] / sum * h->v[j * h->v_stride + i];
            }
            h->out[t * h->out_stride + i] = mixed;
        }
    }
    free(scores);
}

/* LlamaAttention */
static double *multi_head(const oracle *o, const double *x, size_t count, size_t hidden, int layer)
{
    size_t heads = (size_t)oracle_integer(o->language, "num_attention_heads", 32);
    size_t kv_heads = (size_t)oracle_integer(o->language, "num_key_value_heads", (int)heads);
    size_t depth = hidden / heads, kv = kv_heads * depth;
    double *q = oracle_linear(o, x, count, hidden, NULL, SELF "q_proj", layer);
    double *k = oracle_linear(o, x, count, hidden, NULL, SELF "k_proj", layer);
    double *v = oracle_linear(o, x, count, hidden, NULL, SELF "v_proj", layer);
    rope r = rope_for(o, depth, count);
    for (size_t t = 0; t < count; t++) {
        for (size_t h = 0; h < heads; h++) {
            rope_turn(&r, q + t * hidden + h * depth, t);
        }
        for (size_t h = 0; h < kv_heads; h++) {
            rope_turn(&r, k + t * kv + h * depth, t);
        }
    }
    double *mixed = take(count * hidden);
    for (size_t h = 0; h < heads; h++) {
        size_t group = h / (heads / kv_heads); /* repeat_kv */
        attend(&(head){q + h * depth, k + group * depth, v + group * depth, mixed + h * depth,
                       hidden, kv, kv, hidden, depth, depth, 1 / sqrt((double)depth)},
               count);
    }
    double *y = oracle_linear(o, mixed, count, hidden, NULL, SELF "o_proj", layer);
    rope_free(&r);
    free(q);
    free(k);
    free(v);
    free(mixed);
    return y;
}

/* q_proj, or q_b_proj(q_a_layernorm(q_a_proj)). */
static double *latent_queries(const oracle *o, const double *x, size_t count, size_t hidden,
                              int layer)
{
    if (json_is_null(json_object_get(o->language, "q_lora_rank"))) {
        return oracle_linear(o, x, count, hidden, NULL, SELF "q_proj", layer);
    }
    char norm[96];
    snprintf(norm, sizeof(norm), SELF "q_a_layernorm", layer);
    size_t rank;
    double *a = oracle_linear(o, x, count, hidden, &rank, SELF "q_a_proj", layer);
    double *normed = rms_norm(o, a, count, rank, 1e-6, norm);
    double *q = oracle_linear(o, normed, count, rank, NULL, SELF "q_b_proj", layer);
    free(a);
    free(normed);
    return q;
}

static double latent_scale(const oracle *o, double depth)
{
    double scale = pow(depth, -0.5);
    const json_t *scaling = json_object_get(o->language, "rope_scaling");
    double all = oracle_number(scaling, "mscale_all_dim", 0);
    if (json_is_object(scaling) && all != 0) {
        double mscale = yarn_get_mscale(oracle_number(scaling, "factor", 1), all);
        scale *= mscale * mscale;
    }
    return scale;
}

/* Splits kv_a_proj_with_mqa's output into the normalized latent [count, rank], which is
 * returned, and the rotated shared key [count, turned]. */
static double *latents(const oracle *o, const double *x, size_t count, size_t hidden, int layer,
                       size_t turned, const rope *r, double *shared)
{
    size_t both;
    double *a = oracle_linear(o, x, count, hidden, &both,
                              SELF "kv_a_proj_with_mqa", layer);
    size_t rank = both - turned;
    double *latent = take(count * rank);
    for (size_t t = 0; t < count; t++) {
        memcpy(latent + t * rank, a + t * both, rank * sizeof(double));
        memcpy(shared + t * turned, a + t * both + rank, turned * sizeof(double));
        pairs_to_halves(shared + t * turned, turned);
        rope_turn(r, shared + t * turned, t);
    }
    char norm[96];
    snprintf(norm, sizeof(norm), SELF "kv_a_layernorm", layer);
    double *normed = rms_norm(o, latent, count, rank, 1e-6, norm);
    free(latent);
    free(a);
    return normed;
}

/* DeepseekV2Attention, with keys and values per head. */
static double *multi_latent(const oracle *o, const double *x, size_t count, size_t hidden,
                            int layer)
{
    size_t heads = (size_t)oracle_integer(o->language, "num_attention_heads", 32);
    size_t nope = (size_t)oracle_integer(o->language, "qk_nope_head_dim", 128);
    size_t turned = (size_t)oracle_integer(o->language, "qk_rope_head_dim", 64);
    size_t value = (size_t)oracle_integer(o->language, "v_head_dim", 128);
    size_t rank = (size_t)oracle_integer(o->language, "kv_lora_rank", 512);
    size_t depth = nope + turned, wide = heads * depth;
    rope r = rope_for(o, turned, count);
    double *q = latent_queries(o, x, count, hidden, layer);
    double *shared = take(count * turned);
    double *latent = latents(o, x, count, hidden, layer, turned, &r, shared);
    double *kv = oracle_linear(o, latent, count, rank, NULL,
                               SELF "kv_b_proj", layer);
    double *keys = take(count * wide);
    for (size_t t = 0; t < count; t++) {
        for (size_t h = 0; h < heads; h++) {
            double *query = q + t * wide + h * depth + nope, *key = keys + t * wide + h * depth;
            pairs_to_halves(query, turned);
            rope_turn(&r, query, t);
            memcpy(key, kv + (t * heads + h) * (nope + value), nope * sizeof(double));
            memcpy(key + nope, shared + t * turned, turned * sizeof(double));
        }
    }
    double *mixed = take(count * heads * value);
    for (size_t h = 0; h < heads; h++) {
        attend(&(head){q + h * depth, keys + h * depth, kv + h * (nope + value) + nope,
                       mixed + h * value, wide, wide, heads * (nope + value), heads * value, depth,
                       value, latent_scale(o, (double)depth)},
               count);
    }
    double *y = oracle_linear(o, mixed, count, heads * value, NULL,
                              SELF "o_proj", layer);
    rope_free(&r);
    free(q);
    free(shared);
    free(latent);
    free(kv);
    free(keys);
    free(mixed);
    return y;
}

/* ---------------------------------------------------------------------------- gate */

/* torch.topk: the k largest, a tie to the lower index. Returns how far the first one that was
 * left out is below the last one taken; infinity if both are the 0 of a mask, whose choice has
 * no effect. */
static double top_k(const double *values, int count, int k, int *best)
{
    bool *taken = calloc((size_t)count, sizeof(bool));
    assert_non_null(taken);
    double last = INFINITY;
    for (int i = 0; i <= k && i < count; i++) {
        int at = -1;
        for (int j = 0; j < count; j++) {
            if (!taken[j] && (at < 0 || values[j] > values[at])) {
                at = j;
            }
        }
        if (i == k) {
            free(taken);
            return last == 0 && values[at] == 0 ? INFINITY : last - values[at];
        }
        taken[at] = true;
        last = values[at];
        best[i] = at;
    }
    free(taken);
    return INFINITY;
}

static void gate_scores(const oracle_gate *gate, const double *logits, double *scores)
{
    double largest = -INFINITY, sum = 0;
    for (int i = 0; i < gate->experts; i++) {
        largest = fmax(largest, logits[i]);
    }
    for (int i = 0; i < gate->experts; i++) {
        scores[i] = gate->sigmoid ? 1 / (1 + exp(-logits[i])) : exp(logits[i] - largest);
        sum += scores[i];
    }
    for (int i = 0; !gate->sigmoid && i < gate->experts; i++) {
        scores[i] /= sum;
    }
}

/* masked_fill(~score_mask, 0.0) on the choice, by the groups' scores. */
static double mask_groups(const oracle_gate *gate, bool two_best, double *choice)
{
    int size = gate->experts / gate->groups;
    double *sums = take((size_t)gate->groups);
    int *best = calloc((size_t)(gate->groups + size + 2), sizeof(int));
    bool *kept = calloc((size_t)gate->groups, sizeof(bool));
    assert_non_null(best);
    assert_non_null(kept);
    for (int g = 0; g < gate->groups; g++) {
        top_k(choice + g * size, size, two_best ? 2 : 1, best);
        sums[g] = choice[g * size + best[0]] + (two_best ? choice[g * size + best[1]] : 0);
    }
    double gap = top_k(sums, gate->groups, gate->groups_per_token, best);
    for (int i = 0; i < gate->groups_per_token; i++) {
        kept[best[i]] = true;
    }
    for (int i = 0; i < gate->experts; i++) {
        choice[i] = kept[i / size] ? choice[i] : 0.0;
    }
    free(sums);
    free(best);
    free(kept);
    return gap;
}

double oracle_route(const oracle_gate *gate, const double *logits, const double *bias,
                    double *scores, int *ids, double *weights)
{
    double *choice = take((size_t)gate->experts), gap = INFINITY, sum = 0;
    bool biased = strcmp(gate->method, "noaux_tc") == 0;
    gate_scores(gate, logits, scores);
    for (int i = 0; i < gate->experts; i++) {
        choice[i] = scores[i] + (biased ? bias[i] : 0);
    }
    if (strcmp(gate->method, "greedy") != 0) {
        gap = mask_groups(gate, biased, choice);
    }
    gap = fmin(gap, top_k(choice, gate->experts, gate->k, ids));
    for (int i = 0; i < gate->k; i++) {
        weights[i] = biased ? scores[ids[i]] : choice[ids[i]];
        sum += weights[i];
    }
    for (int i = 0; i < gate->k; i++) {
        if (gate->k > 1 && gate->normalize) {
            weights[i] /= sum + 1e-20;
        }
        weights[i] *= gate->scaling;
    }
    free(choice);
    return gap;
}

/* ---------------------------------------------------------------------------- feed-forward */

/* DeepseekV2MLP: down(silu(gate(x)) * up(x)). */
static double *gated(const oracle *o, const double *x, size_t count, size_t hidden,
                     const char *name)
{
    size_t width;
    double *gate = oracle_linear(o, x, count, hidden, &width, "%s.gate_proj", name);
    double *up = oracle_linear(o, x, count, hidden, NULL, "%s.up_proj", name);
    for (size_t i = 0; i < count * width; i++) {
        gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    }
    double *y = oracle_linear(o, gate, count, width, NULL, "%s.down_proj", name);
    free(gate);
    free(up);
    return y;
}

static oracle_gate gate_of(const oracle *o)
{
    const char *scoring = json_string_value(json_object_get(o->language, "scoring_func"));
    return (oracle_gate){
        .sigmoid = scoring != NULL && strcmp(scoring, "sigmoid") == 0,
        .normalize = is_true(o->language, "norm_topk_prob", false),
        .method = json_string_value(json_object_get(o->language, "topk_method")),
        .experts = oracle_integer(o->language, "n_routed_experts", 0),
        .k = oracle_integer(o->language, "num_experts_per_tok", 0),
        .groups = oracle_integer(o->language, "n_group", 1),
        .groups_per_token = oracle_integer(o->language, "topk_group", 1),
        .scaling = oracle_number(o->language, "routed_scaling_factor", 1)};
}

/* moe_infer: every token through each of its experts, weighted and summed. */
static double *experts(const oracle *o, const double *x, size_t hidden, int layer,
                       oracle_sequence *s)
{
    oracle_gate gate = gate_of(o);
    size_t count = s->count;
    double *bias = NULL;
    if (strcmp(gate.method, "noaux_tc") == 0) {
        bias = oracle_tensor(o, NULL, "language.model.layers.%d.mlp.gate.e_score_correction_bias",
                             layer);
    }
    double *logits =
        oracle_linear(o, x, count, hidden, NULL, "language.model.layers.%d.mlp.gate", layer);
    s->router_ids[layer] = calloc(count * s->k, sizeof(int));
    s->router_weights[layer] = take(count * s->k);
    s->router_scores[layer] = take(count * s->experts);
    for (size_t t = 0; t < count; t++) {
        double gap = oracle_route(&gate, logits + t * s->experts, bias,
                                  s->router_scores[layer] + t * s->experts,
                                  s->router_ids[layer] + t * s->k,
                                  s->router_weights[layer] + t * s->k);
        s->least_gap = fmin(s->least_gap, gap);
    }
    double *y = take(count * hidden);
    for (int e = 0; e < gate.experts; e++) {
        char name[96];
        snprintf(name, sizeof(name), "language.model.layers.%d.mlp.experts.%d", layer, e);
        double *out = gated(o, x, count, hidden, name);
        for (size_t pair = 0; pair < count * s->k; pair++) {
            if (s->router_ids[layer][pair] == e) {
                for (size_t i = 0; i < hidden; i++) {
                    y[pair / s->k * hidden + i] +=
                        s->router_weights[layer][pair] * out[pair / s->k * hidden + i];
                }
            }
        }
        free(out);
    }
    free(logits);
    free(bias);
    return y;
}

static void add(double *x, double *y, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        x[i] += y[i];
    }
    free(y);
}

/* DeepseekV2MoE or DeepseekV2MLP, by the rule of DeepseekV2DecoderLayer. */
static double *feed_forward(const oracle *o, const double *x, size_t hidden, int layer,
                            oracle_sequence *s)
{
    char name[96];
    bool routed = json_is_integer(json_object_get(o->language, "n_routed_experts")) &&
                  layer >= oracle_integer(o->language, "first_k_dense_replace", 0) &&
                  layer % oracle_integer(o->language, "moe_layer_freq", 1) == 0;
    if (!routed) {
        snprintf(name, sizeof(name), "language.model.layers.%d.mlp", layer);
        return gated(o, x, s->count, hidden, name);
    }
    double *y = experts(o, x, hidden, layer, s);
    if (json_is_integer(json_object_get(o->language, "n_shared_experts"))) {
        snprintf(name, sizeof(name), "language.model.layers.%d.mlp.shared_experts", layer);
        add(y, gated(o, x, s->count, hidden, name), s->count * hidden);
    }
    return y;
}

/* ---------------------------------------------------------------------------- all */

static double *decoder_layer(const oracle *o, const double *in, int layer, oracle_sequence *s)
{
    char name[96];
    size_t count = s->count, hidden = s->hidden;
    double epsilon = oracle_number(o->language, "rms_norm_eps", 1e-6);
    double *x = take(count * hidden);
    memcpy(x, in, count * hidden * sizeof(double));
    snprintf(name, sizeof(name), "language.model.layers.%d.input_layernorm", layer);
    double *normed = rms_norm(o, x, count, hidden, epsilon, name);
    add(x,
        is_true(o->language, "use_mla", true) ? multi_latent(o, normed, count, hidden, layer)
                                              : multi_head(o, normed, count, hidden, layer),
        count * hidden);
    free(normed);
    snprintf(name, sizeof(name), "language.model.layers.%d.post_attention_layernorm", layer);
    normed = rms_norm(o, x, count, hidden, epsilon, name);
    add(x, feed_forward(o, normed, hidden, layer, s), count * hidden);
    free(normed);
    return x;
}

oracle_sequence *oracle_decode(const oracle *o, double *embeddings, size_t count)
{
    oracle_sequence *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->count = count;
    s->hidden = (size_t)oracle_integer(o->language, "hidden_size", 4096);
    s->layers = (size_t)oracle_integer(o->language, "num_hidden_layers", 30);
    s->experts = (size_t)oracle_integer(o->language, "n_routed_experts", 0);
    s->k = (size_t)oracle_integer(o->language, "num_experts_per_tok", 0);
    s->least_gap = INFINITY;
    s->outputs = calloc(s->layers + 1, sizeof(double *));
    s->router_ids = calloc(s->layers, sizeof(int *));
    s->router_weights = calloc(s->layers, sizeof(double *));
    s->router_scores = calloc(s->layers, sizeof(double *));
    s->outputs[0] = embeddings;
    for (size_t i = 0; i < s->layers; i++) {
        s->outputs[i + 1] = decoder_layer(o, s->outputs[i], (int)i, s);
    }
    s->normed = rms_norm(o, s->outputs[s->layers], count, s->hidden,
                         oracle_number(o->language, "rms_norm_eps", 1e-6), "language.model.norm");
    if (is_true(o->language, "tie_word_embeddings", false)) {
        /* The weights of lm_head are those of embed_tokens. */
        s->logits = oracle_linear(o, s->normed, count, s->hidden, &s->vocabulary,
                                  "language.model.embed_tokens");
    } else {
        s->logits = oracle_linear(o, s->normed, count, s->hidden, &s->vocabulary,
                                  "language.lm_head");
    }
    return s;
}

void oracle_sequence_free(oracle_sequence *s)
{
    for (size_t i = 0; i <= s->layers; i++) {
        free(s->outputs[i]);
    }
    for (size_t i = 0; i < s->layers; i++) {
        free(s->router_ids[i]);
        free(s->router_weights[i]);
        free(s->router_scores[i]);
    }
    free(s->outputs);
    free(s->router_ids);
    free(s->router_weights);
    free(s->router_scores);
    free(s->normed);
    free(s->logits);
    free(s);
}
