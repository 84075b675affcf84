/* The named shapes, from the configurations of the published models. */
#include "weights/synth.h"

#include <string.h>

/* processor_config.json of all three models: up to nine tiles of 384 pixels. */
static const int published_candidates[][2] = {
    {384, 384},  {384, 768},  {768, 384},  {384, 1152}, {1152, 384}, {384, 1536},
    {1536, 384}, {768, 768},  {384, 1920}, {1920, 384}, {384, 2304}, {2304, 384},
    {768, 1152}, {1152, 768}, {384, 2688}, {2688, 384}, {384, 3072}, {3072, 384},
    {768, 1536}, {1536, 768}, {384, 3456}, {3456, 384}, {1152, 1152}};

/* What the three have in common; numbers that they do not share stay 0. */
static void common(synth_shape *shape)
{
    memset(shape, 0, sizeof(*shape));
    shape->type = DATA_BF16;
    shape->tile_tag = "2D";
    shape->global_view_pos = "head";
    memcpy(shape->candidate_resolutions, published_candidates, sizeof(published_candidates));
    shape->candidate_count = sizeof(published_candidates) / sizeof(published_candidates[0]);
    shape->vision.image_size = 384;
    shape->vision.patch_size = 14;
    shape->vision.width = 1152;
    shape->vision.layers = 27;
    shape->vision.heads = 16;
    shape->vision.mlp_ratio = 3.7362;
    shape->vision.attn_pool = true;
    shape->projector.depth = 2;
    shape->projector.mlp_ratio = 1;
    shape->projector.downsample_ratio = 2;
    shape->language.vocab_size = 129280;
    shape->language.max_position_embeddings = 4096;
    shape->language.n_shared_experts = 2;
    shape->language.num_experts_per_tok = 6;
    shape->language.first_k_dense_replace = 1;
    shape->language.moe_layer_freq = 1;
    shape->language.n_group = 1;
    shape->language.topk_group = 1;
    shape->language.topk_method = "greedy";
    shape->language.scoring_func = "softmax";
    shape->language.routed_scaling_factor = 1.0;
    shape->language.rms_norm_eps = 1e-6;
    shape->language.rope_theta = 10000.0;
    shape->tokenizer.kind = SYNTH_VOCABULARY_128K;
    shape->tokenizer.tokens = 128823;
}

static void heads(synth_shape *shape, int count)
{
    shape->language.num_attention_heads = count;
    shape->language.num_key_value_heads = count;
}

static void latent(synth_shape *shape, int rank, int nope, int rope, int value)
{
    shape->language.use_mla = true;
    shape->language.kv_lora_rank = rank;
    shape->language.qk_nope_head_dim = nope;
    shape->language.qk_rope_head_dim = rope;
    shape->language.v_head_dim = value;
}

static void sigmoid_gate(synth_shape *shape)
{
    shape->language.topk_method = "noaux_tc";
    shape->language.scoring_func = "sigmoid";
    shape->language.norm_topk_prob = true;
    shape->language.routed_scaling_factor = 2.0;
}

static void small_vision(synth_shape *shape, int width, int layers, int head_count)
{
    shape->vision.width = width;
    shape->vision.layers = layers;
    shape->vision.heads = head_count;
}

static void vocabulary(synth_shape *shape, synth_vocabulary kind, int tokens, int rows)
{
    shape->tokenizer.kind = kind;
    shape->tokenizer.tokens = tokens;
    shape->language.vocab_size = rows;
}

/* hidden, dense and expert width, layers, experts */
static void sizes(synth_shape *shape, int hidden, int dense, int expert, int layers, int experts)
{
    shape->language.hidden_size = hidden;
    shape->language.intermediate_size = dense;
    shape->language.moe_intermediate_size = expert;
    shape->language.num_hidden_layers = layers;
    shape->language.n_routed_experts = experts;
}

static void tiny(synth_shape *shape)
{
    sizes(shape, 1280, 6848, 896, 12, 64);
    heads(shape, 10);
}

static void small(synth_shape *shape)
{
    sizes(shape, 2048, 10944, 1408, 27, 64);
    heads(shape, 16);
    latent(shape, 512, 128, 64, 128);
    vocabulary(shape, SYNTH_VOCABULARY_100K, 100011, 102400);
}

static void base(synth_shape *shape)
{
    sizes(shape, 2560, 12288, 1536, 30, 72);
    heads(shape, 32);
    latent(shape, 512, 128, 64, 128);
    sigmoid_gate(shape);
}

static void tiny_dev(synth_shape *shape)
{
    sizes(shape, 160, 428, 64, 4, 16);
    heads(shape, 5);
    small_vision(shape, 144, 3, 4);
    vocabulary(shape, SYNTH_VOCABULARY_128K, 2071, 2304);
    shape->language.num_experts_per_tok = 4;
}

static void small_dev(synth_shape *shape)
{
    sizes(shape, 128, 344, 56, 4, 12);
    heads(shape, 4);
    latent(shape, 48, 32, 16, 24);
    small_vision(shape, 128, 2, 16);
    vocabulary(shape, SYNTH_VOCABULARY_100K, 2011, 2176);
    shape->language.num_experts_per_tok = 3;
}

static void base_dev(synth_shape *shape)
{
    sizes(shape, 160, 400, 64, 4, 18);
    heads(shape, 6);
    latent(shape, 64, 24, 32, 40);
    sigmoid_gate(shape);
    small_vision(shape, 160, 2, 5);
    vocabulary(shape, SYNTH_VOCABULARY_128K, 2327, 2560);
}

vl2_status synth_shape_named(const char *size, synth_shape *shape)
{
    static const struct {
        const char *name;
        void (*fill)(synth_shape *shape);
    } named[] = {
        {"tiny", tiny},         {"small", small},         {"base", base},
        {"tiny-dev", tiny_dev}, {"small-dev", small_dev}, {"base-dev", base_dev},
    };
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (strcmp(named[i].name, size) == 0) {
            common(shape);
            named[i].fill(shape);
            return VL2_OK;
        }
    }
    return VL2_ERROR_ARGUMENT;
}
