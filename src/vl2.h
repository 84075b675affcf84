/* vl2: DeepSeek-VL2 vision-language models on the CPU.
 *
 * The only installed header. A program opens a model, gives a session a conversation with pictures,
 * and receives the answer token by token:
 *
 *     vl2_error error;
 *     vl2_model *model;
 *     if (vl2_model_open("deepseek-vl2-tiny", NULL, &model, &error) != VL2_OK)
 *         fprintf(stderr, "%s\n", error.message);
 *
 * Conventions
 *   - Functions that can fail return a vl2_status and take a vl2_error, which may be NULL. Results
 *     come back through the last pointer before it and are left untouched on failure.
 *   - Objects made by *_open, *_create or *_load belong to the caller and end with the matching
 *     *_close or *_release, which accept NULL. A `const` pointer returned by a getter is borrowed
 *     and lives as long as the object it came from, unless its comment says otherwise.
 *   - Text is UTF-8. A size in bytes stands beside text that may contain NUL bytes.
 *   - There is no global state, but for two things: opening a session sets OpenBLAS, which a
 *     process has once, to one thread (openblas_set_num_threads), as the library divides the work
 *     itself; and opening a model that does not fit into its budget tells malloc to give large
 *     blocks back to the system when they are freed (mallopt).
 *   - A vl2_model, vl2_image, vl2_boxes, vl2_tiles or vl2_tokenizer may be used by several threads
 *     at once; a vl2_session or vl2_conversation by one thread at a time, except for
 *     vl2_session_cancel.
 *   - Structures of options are filled by their *_defaults function first, so that a field added
 *     later keeps its default in old programs that are compiled again.
 */
#ifndef VL2_H
#define VL2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define VL2_API __attribute__((visibility("default")))
#else
#define VL2_API
#endif

/* ------------------------------------------------------------------------------------ status */

/* Every status, with the sentence that vl2_status_text gives for it. */
#define VL2_STATUS_LIST(X)                                                                         \
    X(VL2_OK, 0, "success")                                                                        \
    X(VL2_ERROR_ARGUMENT, -1, "an argument is out of its range")                                   \
    X(VL2_ERROR_MODEL, -2, "the model is missing or corrupt")                                      \
    X(VL2_ERROR_INPUT, -3, "a picture or another input cannot be read")                            \
    X(VL2_ERROR_MEMORY, -4, "there is not enough memory")                                          \
    X(VL2_ERROR_IO, -5, "reading or writing failed")                                               \
    X(VL2_ERROR_CONTEXT, -6, "the prompt does not fit into the context")                           \
    X(VL2_ERROR_CANCELLED, -7, "the request was cancelled")                                        \
    X(VL2_ERROR_UNSUPPORTED, -8, "this is not supported")

typedef enum vl2_status {
#define VL2_STATUS_ENUM(name, value, text) name = value,
    VL2_STATUS_LIST(VL2_STATUS_ENUM)
#undef VL2_STATUS_ENUM
} vl2_status;

/* What went wrong, in words: the file, the field, what was found and what was expected. The caller
 * owns it; a function writes it only when it fails. */
typedef struct vl2_error {
    vl2_status status;
    char message[1024]; /* NUL-terminated, one line or more */
} vl2_error;

/* The sentence for a status; never NULL. */
VL2_API const char *vl2_status_text(vl2_status status);

/* The library's version, "MAJOR.MINOR.PATCH". */
VL2_API const char *vl2_version(void);

/* Frees a string that a function of this library returned as the caller's own. NULL is allowed. */
VL2_API void vl2_free(void *string);

/* ------------------------------------------------------------------------------------ progress */

typedef enum vl2_stage {
    VL2_STAGE_OPEN,     /* opening the model: tensors checked */
    VL2_STAGE_VISION,   /* encoding pictures: tiles done of tiles in all */
    VL2_STAGE_PREFILL,  /* reading the prompt: tokens done of tokens in all */
    VL2_STAGE_GENERATE, /* answering: tokens done of the most that may come */
    VL2_STAGE_WRITE,    /* writing files: bytes done of bytes in all */
    VL2_STAGE_VERIFY,   /* comparing checksums: bytes done of bytes in all */
    VL2_STAGE_PACK,     /* packing weights: bytes of the checkpoint done of those to be done */
    VL2_STAGE_WEIGHTS,  /* making random weights: bytes done of bytes in all */
    VL2_STAGE_BENCH     /* measuring: measurements done of measurements in all */
} vl2_stage;

typedef struct vl2_progress {
    vl2_stage stage;
    uint64_t done, total; /* in the unit of the stage; total 0 if it is not known */
    double seconds;       /* since the stage began */
    /* Of prompt and answer: the experts that have been read in this stage so far; NULL unless they
     * are read as they are needed. For the time of the call. */
    const struct vl2_paging *paging;
} vl2_progress;

/* Called from the thread that called the library. `user` is the pointer given with the callback.
 * While a session works that thread is in an OpenMP parallel region: one that a callback opens has
 * one thread. */
typedef void (*vl2_progress_callback)(const vl2_progress *progress, void *user);

/* ------------------------------------------------------------------------------------ pictures */

/* A decoded picture, RGB with 8 bits per sample. Immutable and reference counted. */
typedef struct vl2_image vl2_image;

/* The limit on width * height that vl2_image_open uses for max_pixels 0 (Pillow's own limit). */
#define VL2_DEFAULT_MAX_PIXELS ((uint64_t)178956970)

/* Reads a JPEG or PNG file, recognised by its content, and converts it to RGB as Pillow's
 * convert("RGB") does: alpha is dropped, EXIF orientation and colour profiles are ignored. "-" is
 * standard input. Files of more than 1 GiB are refused.
 * Errors: VL2_ERROR_INPUT (missing, not a picture, damaged, or more pixels than max_pixels),
 * VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_image_open(const char *path, uint64_t max_pixels, vl2_image **image,
                                  vl2_error *error);

/* The same from memory; `name` stands in error messages. The bytes are not kept. */
VL2_API vl2_status vl2_image_from_bytes(const void *bytes, size_t size, const char *name,
                                        uint64_t max_pixels, vl2_image **image, vl2_error *error);

/* From pixels [height, width, 3], rows `stride` bytes apart (stride >= 3 * width). They are copied.
 * VL2_ERROR_ARGUMENT, VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_image_from_rgb(const uint8_t *pixels, int width, int height, size_t stride,
                                      vl2_image **image, vl2_error *error);

VL2_API vl2_image *vl2_image_retain(vl2_image *image); /* one more owner; returns image */
VL2_API void vl2_image_release(vl2_image *image);      /* one owner fewer */
VL2_API int vl2_image_width(const vl2_image *image);
VL2_API int vl2_image_height(const vl2_image *image);
VL2_API const uint8_t *vl2_image_pixels(const vl2_image *image); /* [height, width, 3], no gaps */

/* Writes a PNG file: first under a temporary name beside it, then renamed; a device or pipe is
 * written to directly. VL2_ERROR_IO, VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_image_write_png(const vl2_image *image, const char *path, vl2_error *error);

/* ------------------------------------------------------------------------------------ boxes */

/* One detected box. */
typedef struct vl2_box {
    const char *label; /* the text between <|ref|> and <|/ref|> */
    double normalized[4]; /* x1 y1 x2 y2 as the model wrote them, meant to be 0 to 999 */
    int pixels[4];        /* trunc(value / 999 * side), in the picture's pixels; not clamped */
} vl2_box;

typedef struct vl2_boxes vl2_boxes;

/* Reads <|ref|>label<|/ref|><|det|>[[x1, y1, x2, y2], ...]<|/det|> from an answer, for a picture of
 * width x height pixels. What is malformed is skipped and reported, never fatal.
 * Errors: VL2_ERROR_ARGUMENT (a size below 1), VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_boxes_parse(const char *answer, size_t size, int width, int height,
                                   vl2_boxes **boxes, vl2_error *error);
VL2_API void vl2_boxes_close(vl2_boxes *boxes);
VL2_API size_t vl2_boxes_count(const vl2_boxes *boxes);
VL2_API const vl2_box *vl2_boxes_get(const vl2_boxes *boxes, size_t index);
/* Sentences about what could not be read. */
VL2_API size_t vl2_boxes_problem_count(const vl2_boxes *boxes);
VL2_API const char *vl2_boxes_problem(const vl2_boxes *boxes, size_t index);
/* False where the reference's parse_ref_bbox gives up on the whole answer and returns None. */
VL2_API bool vl2_boxes_reference_accepts(const vl2_boxes *boxes);

/* A copy of the picture with the boxes drawn on it, one colour per label, the label beside the box.
 * VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_image_draw_boxes(const vl2_image *image, const vl2_boxes *boxes,
                                        vl2_image **drawn, vl2_error *error);

/* ------------------------------------------------------------------------------------ tokenizer */

/* Byte-level BPE as described by a tokenizer.json. */
typedef struct vl2_tokenizer vl2_tokenizer;

/* `path` is a tokenizer.json or a model (folder or packed file) that has one. From a model, it also
 * has the special tokens that the reference adds where they are missing. VL2_ERROR_MODEL,
 * VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_tokenizer_open(const char *path, vl2_tokenizer **tokenizer,
                                      vl2_error *error);
VL2_API void vl2_tokenizer_close(vl2_tokenizer *tokenizer);

/* Token ids of a text. Special tokens written in the text are recognised; nothing is added before
 * or after. *ids (vl2_free; NULL if there are none) has *count entries. Bytes that are not valid
 * UTF-8 count as U+FFFD. VL2_ERROR_ARGUMENT for 1 GiB or more, VL2_ERROR_MEMORY,
 * VL2_ERROR_UNSUPPORTED if a pattern of the tokenizer takes too long on this text. */
VL2_API vl2_status vl2_tokenizer_encode(const vl2_tokenizer *tokenizer, const char *text,
                                        size_t size, int32_t **ids, size_t *count,
                                        vl2_error *error);

/* The text of token ids: *text (vl2_free) is NUL-terminated and has *size bytes before the NUL.
 * Bytes that are not valid UTF-8 become U+FFFD. VL2_ERROR_ARGUMENT for an id outside the
 * vocabulary, VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_tokenizer_decode(const vl2_tokenizer *tokenizer, const int32_t *ids,
                                        size_t count, bool skip_special, char **text,
                                        size_t *size, vl2_error *error);

/* The id of a token by its exact spelling, or -1. */
VL2_API int32_t vl2_tokenizer_id(const vl2_tokenizer *tokenizer, const char *token);

/* ------------------------------------------------------------------------------------ tiles */

/* The tiles that the vision tower sees of one picture: the global view, then the local tiles row by
 * row. */
typedef struct vl2_tiles vl2_tiles;

/* Cuts a picture as the model at `model_path` wants it (only its processor_config.json is read).
 * With `tiling` false: the global view and one identical local tile, as for conversations of more
 * than two pictures. VL2_ERROR_MODEL, VL2_ERROR_INPUT, VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_tiles_create(const char *model_path, const vl2_image *image, bool tiling,
                                    vl2_tiles **tiles, vl2_error *error);
VL2_API void vl2_tiles_close(vl2_tiles *tiles);
VL2_API size_t vl2_tiles_count(const vl2_tiles *tiles);
VL2_API int vl2_tiles_side(const vl2_tiles *tiles); /* pixels */
/* Local tiles per row and per column, and the pixels they cover. */
VL2_API void vl2_tiles_grid(const vl2_tiles *tiles, int *columns, int *rows);
VL2_API void vl2_tiles_resolution(const vl2_tiles *tiles, int *width, int *height);
VL2_API const uint8_t *vl2_tiles_pixels(const vl2_tiles *tiles, size_t index); /* [side, side, 3] */
VL2_API const char *vl2_tiles_sha256(const vl2_tiles *tiles, size_t index);    /* 64 hex digits */

/* ------------------------------------------------------------------------------------ model */

typedef struct vl2_model vl2_model;

/* Which checksums of a packed file are compared. A folder has none. */
typedef enum vl2_verify {
    VL2_VERIFY_USE, /* those of each part when it is used first */
    VL2_VERIFY_OFF,
    VL2_VERIFY_ALL  /* all of them when the model is opened */
} vl2_verify;

struct vl2_session_options;

#define VL2_RAM_AUTO UINT64_MAX

typedef struct vl2_model_options {
    vl2_verify verify;
    vl2_progress_callback progress; /* may be NULL */
    void *progress_user;
    /* Bytes that this process may take: weights, sessions, pictures, program. If not all of a
     * packed file fits, routed experts are read from the file as they are needed. Default 0: the
     * file is mapped, and the operating system decides what stays in memory. VL2_RAM_AUTO: what is
     * free now; never refused. */
    uint64_t ram;
    /* Most routed experts in memory, however much there is; to find out what few do. Default 0: as
     * many as fit. */
    size_t slots;
    /* What sessions shall be like: what the memory is planned for; may be NULL: the defaults. A
     * session that takes more leaves less for experts. */
    const struct vl2_session_options *session;
} vl2_model_options;

VL2_API void vl2_model_options_defaults(vl2_model_options *options);

/* Opens a packed file (vl2_pack), or a Hugging Face folder (config.json, processor_config.json,
 * tokenizer.json, *.safetensors). The weights are mapped, not read: memory is touched when a tensor
 * is used first. Every tensor's name and shape is checked against the configuration. `options` may
 * be NULL.
 * Errors: VL2_ERROR_MODEL with a message that names file, field, found and expected;
 * VL2_ERROR_MEMORY. A damaged part of a packed file that is found later ends the request that needs
 * it with VL2_ERROR_MODEL; the session and the other parts stay usable. */
VL2_API vl2_status vl2_model_open(const char *path, const vl2_model_options *options,
                                  vl2_model **model, vl2_error *error);
VL2_API void vl2_model_close(vl2_model *model); /* after all its sessions */

/* Changes the budget of a model that was opened with one and did not fit as a whole; between
 * requests or during one. VL2_ERROR_MEMORY with the number that would do, VL2_ERROR_UNSUPPORTED. */
VL2_API vl2_status vl2_model_set_ram(vl2_model *model, uint64_t ram, vl2_error *error);

/* What a model and one session need of memory, in bytes. */
typedef struct vl2_plan {
    uint64_t ram;      /* the budget that this is a plan for */
    bool pageable;     /* a packed file: routed experts can be read as they are needed */
    int context;       /* tokens of the KV cache */
    uint64_t program;  /* this process without weights and sessions */
    uint64_t resident; /* weights that every token needs: attention, shared experts, embedding,
                          head, router, norms; all weights if not pageable */
    uint64_t cache;    /* KV cache */
    uint64_t work;     /* the session's other work space */
    uint64_t pictures; /* a photograph of 24 megapixels, ten tiles and their rows */
    uint64_t vision, vision_work; /* weights and work space of the vision tower: only while pictures
                                     are encoded */
    uint64_t expert_bytes;        /* of one routed expert */
    size_t experts, experts_per_token; /* in all layers */
    size_t slots, slots_encoding; /* experts that fit; the same while pictures are encoded; 0: too
                                     few to work with */
    uint64_t least;      /* the smallest budget that works */
    uint64_t everything; /* with this budget nothing has to be read again */
} vl2_plan;

/* Plans for a budget (VL2_RAM_AUTO: what is free) and a session (NULL: the defaults) without
 * reading weights. VL2_ERROR_ARGUMENT, VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_model_plan(vl2_model *model, uint64_t ram,
                                  const struct vl2_session_options *session, vl2_plan *plan,
                                  vl2_error *error);

/* Bytes of memory that this process may use at most, and that are free: of the machine or of the
 * control group. 0 if it is not known. */
VL2_API uint64_t vl2_memory_total(void);
VL2_API uint64_t vl2_memory_available(void);

typedef struct vl2_model_info {
    char kind[32];      /* "deepseek_vl_v2" */
    char attention[16]; /* "mha" or "mla" */
    char gate[48];      /* such as "softmax/greedy" or "sigmoid/noaux_tc" */
    char data_type[16]; /* of most weights: "bf16", "f16", "f32" */
    int vocabulary, hidden, layers, heads, experts, experts_per_token, shared_experts;
    int dense_layers, expert_width, dense_width, latent, context;
    int vision_layers, vision_width, vision_heads, vision_mlp_width;
    int tile_side, patch_side, tokens_per_tile_side, candidate_resolutions;
    int shards, tensors;
    /* active: read for one token of text, vision excluded */
    uint64_t parameters, parameters_active;
    uint64_t parameters_vision, parameters_projector, parameters_language, parameters_experts;
    uint64_t file_bytes, weight_bytes;
    uint64_t kv_bytes_per_token; /* with VL2_KV_DEFAULT */
    size_t unexpected_count; /* tensors that the model does not use */
} vl2_model_info;

VL2_API void vl2_model_get_info(const vl2_model *model, vl2_model_info *info);
/* The name of a tensor in the files that the model does not use; borrowed. */
VL2_API const char *vl2_model_unexpected(const vl2_model *model, size_t index);
VL2_API const vl2_tokenizer *vl2_model_tokenizer(const vl2_model *model);

#define VL2_PACK_GROUPS 16

/* The weights of one part of a model. */
typedef struct vl2_pack_group {
    char name[24];  /* "vision", "projector", "embedding", "head", "attention", "latent", "dense",
                       "shared", "experts", "router", "norms", "unused", or a number */
    char types[80]; /* such as "int8-group128, f32", the largest share first */
    uint64_t tensors, parameters;
    uint64_t bytes;  /* in the file */
    uint64_t memory; /* in use: more than in the file where planes are compressed */
} vl2_pack_group;

/* What a packed file holds. */
typedef struct vl2_pack_summary {
    bool estimated; /* of a plan: how well 16-bit numbers compress is estimated from samples */
    uint64_t file_bytes, weight_bytes; /* of the file; of all groups in it */
    uint64_t source_bytes;             /* of the same weights in the checkpoint */
    uint64_t records, tensors, parameters;
    uint64_t left_out_tensors, left_out_bytes; /* of a plan: in the checkpoint, not in the file */
    /* Memory of the weights in bytes: with all of them resident; and with the routed experts of one
     * layer at a time. The KV cache of a full context comes on top. */
    uint64_t memory_resident, memory_paged, kv_bytes;
    size_t group_count;
    vl2_pack_group groups[VL2_PACK_GROUPS]; /* [group_count] */
} vl2_pack_summary;

/* What is in the packed file that a model was opened from. False for a folder; then *summary is all
 * zero. */
VL2_API bool vl2_model_get_pack(const vl2_model *model, vl2_pack_summary *summary);
/* The META section of the packed file, a JSON text of *size bytes: which program packed it, from
 * what and how. NULL for a folder or without one; borrowed. */
VL2_API const char *vl2_model_get_meta(const vl2_model *model, size_t *size);

/* --------------------------------------------------------------------------------- conversation */

/* Messages in order, with their pictures. */
typedef struct vl2_conversation vl2_conversation;

VL2_API vl2_status vl2_conversation_create(vl2_conversation **conversation, vl2_error *error);
VL2_API void vl2_conversation_close(vl2_conversation *conversation);

/* Reads the format of the reference's README: a JSON list of {"role", "content", "images"?}.
 * Picture paths are taken relative to the JSON file's folder first, then to the working folder. An
 * object that has the list under "conversation" will do, and "-" is standard input.
 * VL2_ERROR_INPUT, VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_conversation_load(const char *path, uint64_t max_pixels,
                                         vl2_conversation **conversation, vl2_error *error);
/* Writes the same format. VL2_ERROR_ARGUMENT for what it cannot hold: pictures that did not come
 * from a file, text that is not UTF-8 or has a NUL. VL2_ERROR_IO, VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_conversation_save(const vl2_conversation *conversation, const char *path,
                                         vl2_error *error);

/* Appends a message. role: "<|User|>" or "user", "<|Assistant|>" or "assistant", "system" or
 * "deepseekapi-sys" (first message only). Each <image> in the content of a user takes the next
 * picture; whether their numbers agree is checked when the conversation is answered. The images are
 * retained.
 * VL2_ERROR_INPUT for an unknown role, VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_conversation_add(vl2_conversation *conversation, const char *role,
                                        const char *content, size_t content_size,
                                        vl2_image *const *images, size_t image_count,
                                        vl2_error *error);
VL2_API void vl2_conversation_remove_last(vl2_conversation *conversation);
VL2_API void vl2_conversation_clear(vl2_conversation *conversation);
VL2_API size_t vl2_conversation_count(const vl2_conversation *conversation);
VL2_API const char *vl2_conversation_role(const vl2_conversation *conversation, size_t message);
VL2_API const char *vl2_conversation_content(const vl2_conversation *conversation, size_t message,
                                             size_t *size);
VL2_API size_t vl2_conversation_image_count(const vl2_conversation *conversation); /* in all */
VL2_API vl2_image *vl2_conversation_image(const vl2_conversation *conversation, size_t index);

/* ------------------------------------------------------------------------------------ session */

/* One conversation in progress: the KV cache and the work space. */
typedef struct vl2_session vl2_session;

/* Numbers of the KV cache. int8 has a scale for each 128 of them. */
typedef enum vl2_kv_type {
    VL2_KV_DEFAULT, /* f32 */
    VL2_KV_F32,
    VL2_KV_BF16,
    VL2_KV_F16,
    VL2_KV_INT8
} vl2_kv_type;

typedef struct vl2_session_options {
    int context; /* most tokens, prompt and answer; 0: what the model was made for */
    int chunk;   /* prompt tokens that go through the decoder at once; default (and for 0) 1024 */
    int threads; /* 0: vl2_cpu_count() */
    vl2_progress_callback progress; /* may be NULL */
    void *progress_user;
    vl2_kv_type kv_type;
} vl2_session_options;

VL2_API void vl2_session_options_defaults(vl2_session_options *options);

/* VL2_ERROR_ARGUMENT, VL2_ERROR_MEMORY (with the bytes that were asked for). */
VL2_API vl2_status vl2_session_open(vl2_model *model, const vl2_session_options *options,
                                    vl2_session **session, vl2_error *error);
VL2_API void vl2_session_close(vl2_session *session);

typedef struct vl2_sampling {
    double temperature;        /* 0: greedy */
    int top_k;                 /* 0: off; default 50, as the reference's generate */
    double top_p;              /* 1: off */
    double min_p;              /* 0: off */
    double repetition_penalty; /* 1: off */
    bool penalize_prompt;      /* the penalty covers the prompt's ids too, as in the web demo */
    uint64_t seed;             /* equal seeds give equal answers */
} vl2_sampling;

typedef struct vl2_generate_options {
    vl2_sampling sampling;
    int max_tokens;           /* default 512 */
    bool ignore_end;          /* go on after the end-of-sentence token */
    const char *const *stop;  /* the answer ends before the first of these strings */
    size_t stop_count;
} vl2_generate_options;

VL2_API void vl2_generate_options_defaults(vl2_generate_options *options);

typedef enum vl2_finish {
    VL2_FINISH_END,       /* the model ended its answer */
    VL2_FINISH_STOP,      /* a stop string came */
    VL2_FINISH_LENGTH,    /* max_tokens were generated */
    VL2_FINISH_CONTEXT,   /* the context is full */
    VL2_FINISH_CANCELLED  /* vl2_session_cancel, or the callback said so */
} vl2_finish;

/* Called for each piece of the answer, whole UTF-8 characters only; `text` (size bytes,
 * NUL-terminated) is borrowed for the call and may be empty. `token` is the newest token, or -1
 * where the end of the answer sets free text that might have become a stop string. Special tokens
 * stand as text (<|ref|>), except for the end. Returning false ends the answer. */
typedef bool (*vl2_token_callback)(const char *text, size_t size, int32_t token, void *user);

/* Routed experts of a model that does not fit into its budget. */
typedef struct vl2_paging {
    uint64_t slots; /* experts that fit into memory */
    uint64_t uses, hits; /* experts that layers wanted; of these, in memory already */
    uint64_t reads, bytes; /* of the file */
    uint64_t early, early_used; /* read before they were wanted; of these, wanted */
    double stalled; /* seconds that computing waited */
    double bandwidth; /* of the storage when the model was opened, bytes per second */
    int depth;        /* reads at once */
    bool direct;      /* they go past the page cache */
    bool uring;       /* the kernel reads on its own (io_uring); false: threads do */
} vl2_paging;

typedef struct vl2_answer {
    char *text; /* NUL-terminated; vl2_answer_clear frees it */
    size_t text_size;
    int32_t *tokens; /* includes the end token if it came */
    size_t token_count;
    vl2_finish finish;
    size_t prompt_tokens;  /* in all, pictures included */
    size_t image_tokens;   /* of these, rows of pictures */
    size_t reused_tokens;  /* of prompt_tokens, still in the KV cache from the turn before */
    size_t tiles, tiles_encoded; /* tiles of all pictures; those that had to be encoded now */
    double seconds_tiles, seconds_vision, seconds_prefill, seconds_decode; /* wall time per stage */
    double token_median, token_p99; /* seconds from one token of the answer to the next */
    uint64_t memory_peak; /* bytes, largest resident size of the process so far; 0 if not known */
    vl2_paging paging;    /* all zero unless experts are read as they are needed */
} vl2_answer;

/* Answers a conversation whose last message is an assistant turn with empty content (it is added if
 * the last message is a user's); text in that turn is continued. The KV cache of the prefix that
 * this conversation has in common with the session's last one is kept.
 * `callback` may be NULL; `answer` is filled also on VL2_ERROR_CANCELLED as far as it came, and
 * freed by vl2_answer_clear. Errors: VL2_ERROR_CONTEXT (the message says how many tokens each
 * picture took), VL2_ERROR_INPUT, VL2_ERROR_MEMORY, VL2_ERROR_CANCELLED (during the prompt; later
 * it is a finish reason). */
VL2_API vl2_status vl2_session_generate(vl2_session *session, const vl2_conversation *conversation,
                                        const vl2_generate_options *options,
                                        vl2_token_callback callback, void *user,
                                        vl2_answer *answer, vl2_error *error);
VL2_API void vl2_answer_clear(vl2_answer *answer);

/* Ends the running vl2_session_generate, vl2_session_trace, vl2_compare or vl2_calibrate soon;
 * without one it does nothing. From any thread, and from a signal handler. */
VL2_API void vl2_session_cancel(vl2_session *session);

/* Bytes that the session holds: KV cache and work space. */
VL2_API uint64_t vl2_session_memory(const vl2_session *session);

/* ----------------------------------------------------------------------------------- comparing */

typedef struct vl2_compare_options {
    int tokens;    /* most tokens of A's greedy answer; default 32 */
    int positions; /* of the prompt's text, the last ones, whose next token is compared;
                      default 256 */
} vl2_compare_options;

VL2_API void vl2_compare_options_defaults(vl2_compare_options *options);

/* What A and B expect behind one position of text, after the same tokens. */
typedef struct vl2_compared_token {
    size_t conversation;    /* counted from 0, in the order of the vl2_compare calls */
    size_t position;        /* in prompt and answer, pictures included */
    bool answer;            /* the next token belongs to the answer; otherwise to the prompt */
    int32_t token;          /* the next one */
    int32_t best_a, best_b; /* the most likely ones */
    double divergence;      /* KL(A||B) = sum of p_A log(p_A / p_B) over all tokens, in nats */
    double log_a, log_b;    /* natural logarithm of the next token's probability */
} vl2_compared_token;

/* How far B's rows are from A's. Each row counts alike: the first of a text are often a hundred
 * times as large as the others. */
typedef struct vl2_deviation {
    uint64_t rows;
    double squares; /* sum of |b - a|^2 / |a|^2 over the rows */
    double error;   /* sqrt(squares / rows), the relative RMS error; 0 without rows */
} vl2_deviation;

typedef struct vl2_compared_layer {
    vl2_deviation hidden; /* of the layer's output, at every position that was read */
    uint64_t choices;     /* of experts, by A; 0 in a layer without experts */
    uint64_t equal;       /* of these, those that B made as well */
} vl2_compared_layer;

/* The differences of one conversation or several. All zero is empty; vl2_comparison_clear frees. */
typedef struct vl2_comparison {
    size_t conversations;
    vl2_compared_token *tokens; /* [token_count] */
    size_t token_count;
    vl2_compared_layer *layers; /* [layer_count] of the decoder */
    size_t layer_count;
    vl2_deviation vision, projector; /* outputs for each patch, for each row of a tile */
    vl2_deviation embedding;         /* what enters the first layer */
} vl2_comparison;

/* Runs a conversation through two forms of one model side by side and adds the differences to
 * `comparison`. A is taken for the truth. Both see the same pictures and tokens: the prompt, then
 * the answer, which is the text of the last message if that is an assistant's, or else what A
 * answers greedily up to its end token. Each uses its own vision tower. What the sessions had in
 * their KV caches is lost. Hidden states are kept for one chunk of A only, (layers + 1) * chunk *
 * hidden floats. Each session's callback is told of its tiles, A's of what both have read.
 * `options` may be NULL.
 * Errors: VL2_ERROR_ARGUMENT (one session given twice; the models' configuration or vocabulary
 * differs: the message names the field), VL2_ERROR_CANCELLED (by vl2_session_cancel of either
 * session), and what vl2_session_generate gives. */
VL2_API vl2_status vl2_compare(vl2_session *a, vl2_session *b,
                               const vl2_conversation *conversation,
                               const vl2_compare_options *options, vl2_comparison *comparison,
                               vl2_error *error);
VL2_API void vl2_comparison_clear(vl2_comparison *comparison);

typedef enum vl2_compared_part {
    VL2_COMPARED_ALL,
    VL2_COMPARED_PROMPT,
    VL2_COMPARED_ANSWER
} vl2_compared_part;

/* All zero without tokens. */
typedef struct vl2_comparison_summary {
    size_t tokens;
    double mean, median, p99, max; /* of the divergences; the 99th percentile is that of the nearest
                                      rank */
    double agreement;              /* share of tokens with best_a == best_b, 0 to 1 */
    double perplexity_a, perplexity_b; /* exp(-mean of log_a), exp(-mean of log_b) */
} vl2_comparison_summary;

/* VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_comparison_summarize(const vl2_comparison *comparison,
                                            vl2_compared_part part,
                                            vl2_comparison_summary *summary, vl2_error *error);

/* --------------------------------------------------------------------------------- calibrating */

/* Sums over what goes into each weight matrix of a model. */
typedef struct vl2_calibration vl2_calibration;

typedef struct vl2_calibrate_options {
    int tokens;       /* most tokens of the greedy answer; default 32 */
    const char *name; /* of the conversation, noted in the file; may be NULL */
} vl2_calibrate_options;

VL2_API void vl2_calibrate_options_defaults(vl2_calibrate_options *options);

/* An empty one. The model must outlive it. VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_calibration_create(const vl2_model *model, vl2_calibration **calibration,
                                          vl2_error *error);
VL2_API void vl2_calibration_close(vl2_calibration *calibration);

/* Runs a conversation, pictures included, and adds the squares of each matrix's inputs; what the
 * session had in its KV cache is lost. `options` may be NULL. VL2_ERROR_ARGUMENT for a session of
 * another model, and what vl2_session_generate gives; a conversation that fails may have been added
 * in part. */
VL2_API vl2_status vl2_calibrate(vl2_session *session, const vl2_conversation *conversation,
                                 const vl2_calibrate_options *options,
                                 vl2_calibration *calibration, vl2_error *error);

typedef struct vl2_calibration_info {
    uint64_t conversations;
    uint64_t tokens;              /* that went through the decoder, rows of pictures included */
    uint64_t tiles;               /* that went through the vision tower */
    size_t matrices;              /* with inputs so far */
    size_t experts, experts_used; /* routed experts of all layers; those that got a token */
} vl2_calibration_info;

VL2_API void vl2_calibration_get_info(const vl2_calibration *calibration,
                                      vl2_calibration_info *info);

/* Writes a safetensors file: under the name of each matrix that was used the mean of each input's
 * square, F32 [inputs], for routed experts over the tokens that they got; under
 * LAYER.mlp.gate.counts the number of tokens that each expert got, F32 [experts], and under
 * LAYER.mlp.gate.answer_counts how many of these were of answers. First under a temporary name,
 * then renamed. VL2_ERROR_IO, VL2_ERROR_MEMORY. */
VL2_API vl2_status vl2_calibration_write(const vl2_calibration *calibration, const char *path,
                                         vl2_error *error);

/* ------------------------------------------------------------------------------------ tools */

typedef struct vl2_trace_options {
    int tokens;  /* greedy tokens to generate; default 24; the end token does not stop them */
    size_t tile; /* whose vision_out and projector_out are written, counted over all pictures */
    const char *routing; /* a file for the experts of every token, answer included; may be NULL */
} vl2_trace_options;

VL2_API void vl2_trace_options_defaults(vl2_trace_options *options);

/* Runs a conversation and writes every stage into folder `out` (made if missing): trace.json and
 * raw little-endian float32 arrays; see vl2-trace(1). `options` may be NULL. VL2_ERROR_IO and what
 * vl2_session_generate gives. */
VL2_API vl2_status vl2_session_trace(vl2_session *session, const vl2_conversation *conversation,
                                     const vl2_trace_options *options, const char *out,
                                     vl2_error *error);

typedef struct vl2_synth_options {
    const char *size; /* "tiny", "small" or "base": the published shapes */
    uint64_t seed;
    const char *out;       /* folder; made if missing, refused if it has a checkpoint already */
    uint64_t shard_bytes;  /* most bytes per file; default (and for 0) 4 GiB */
    bool overwrite;        /* a checkpoint that is there is removed first */
    vl2_progress_callback progress; /* may be NULL */
    void *progress_user;
    /* May be NULL. Asked every few megabytes, by the thread that called vl2_synth; returning true
     * ends the call with VL2_ERROR_CANCELLED. */
    bool (*cancelled)(void *user);
    void *cancelled_user;
} vl2_synth_options;

VL2_API void vl2_synth_options_defaults(vl2_synth_options *options);

/* Writes a checkpoint of a published shape with random weights, in the published layout, with a
 * byte-level stand-in tokenizer of the right vocabulary size. When it fails or is cancelled, it
 * removes what it has written. VL2_ERROR_ARGUMENT, VL2_ERROR_IO, VL2_ERROR_MEMORY,
 * VL2_ERROR_CANCELLED. */
VL2_API vl2_status vl2_synth(const vl2_synth_options *options, vl2_error *error);

typedef struct vl2_pack_options {
    const char *model; /* a Hugging Face folder */
    const char *out;   /* the file; refused if it is there already */
    /* "bf16" (nothing is lost), "int8", "int6", "int4" or "mixed" (the default, and for NULL):
     * what each means for which weights stands in vl2-pack(1) */
    const char *quant;
    /* "PATTERN=TYPE", the last one that fits wins: PATTERN is a group such as "experts", or a
     * pattern of tensor names as in a shell; TYPE is f32, bf16, int8, int6, int4 or the name of a
     * layout */
    const char *const *types; /* [type_count] */
    size_t type_count;
    const char *importance; /* file of vl2 calibrate; may be NULL */
    const char *lora;       /* folder of a PEFT adapter that is merged; may be NULL */
    double threshold; /* planes are compressed if that saves this share; default 0.08; 1: never */
    int level;        /* of zstd, 1 to 19; default 0: fast, and best for weights */
    int threads;      /* 0: vl2_cpu_count() */
    bool overwrite;   /* `out` may be there and is replaced when the new file is whole */
    bool resume;      /* go on where an interrupted call stopped */
    vl2_progress_callback progress; /* may be NULL */
    void *progress_user;
    /* May be NULL. Asked every few megabytes, by the thread that called vl2_pack; returning true
     * ends the call with VL2_ERROR_CANCELLED. */
    bool (*cancelled)(void *user);
    void *cancelled_user;
} vl2_pack_options;

VL2_API void vl2_pack_options_defaults(vl2_pack_options *options);

/* Packs a checkpoint into one file, which vl2_model_open takes. Equal inputs give equal bytes, for
 * any number of threads. Memory: less than 1 GB and one tensor. The checkpoint is checked as
 * vl2_model_open does first. The file grows as OUT.part, with OUT.part.journal beside it; when the
 * call ends early they stay for `resume`, unless nothing was done yet.
 * VL2_ERROR_ARGUMENT (options; `out` is there; another checkpoint or other options than the work
 * that shall be resumed), VL2_ERROR_MODEL (checkpoint, importance or adapter, with file and
 * tensor), VL2_ERROR_INPUT (a damaged journal), VL2_ERROR_IO (also: not enough space on the disk;
 * another program packs into this file), VL2_ERROR_MEMORY, VL2_ERROR_CANCELLED. */
VL2_API vl2_status vl2_pack(const vl2_pack_options *options, vl2_error *error);

/* What vl2_pack would write; options->out is not looked at. Checks the checkpoint, reads samples of
 * it and writes nothing. Errors of vl2_pack. */
VL2_API vl2_status vl2_pack_plan(const vl2_pack_options *options, vl2_pack_summary *summary,
                                 vl2_error *error);

/* One damaged part of a packed file. */
typedef struct vl2_damage {
    char *text;        /* "layer 3, expert 17, codes of NAME at offset N: found ..." */
    char *name;        /* of the tensor or blob; "" for bytes that belong to neither */
    const char *plane; /* static: "codes", "scales", "low", "blob" ..., "padding" */
    int layer, expert; /* -1: none */
    uint64_t offset, size; /* in the file, bytes */
} vl2_damage;

/* What vl2_verify_file found. vl2_verify_report_clear frees it. */
typedef struct vl2_verify_report {
    uint64_t file_bytes;
    char file_hash[33]; /* hexadecimal; two files of equal hash have equal contents */
    size_t records, tensors, blobs, frames;
    size_t damaged;       /* parts in all */
    vl2_damage *damage;   /* the first damage_count of them, in the order of the file */
    size_t damage_count;
} vl2_verify_report;

typedef struct vl2_verify_options {
    const char *path; /* of the packed file */
    int threads;      /* 0: vl2_cpu_count() */
    size_t most;      /* damaged parts to list; default 100 */
    vl2_progress_callback progress; /* may be NULL */
    void *progress_user;
    /* May be NULL. Asked every few megabytes, by the thread that called; returning true ends the
     * call with VL2_ERROR_CANCELLED. */
    bool (*cancelled)(void *user);
    void *cancelled_user;
} vl2_verify_options;

VL2_API void vl2_verify_options_defaults(vl2_verify_options *options);

/* Looks at every byte of a packed file: header, index, checksums, what compressed parts expand to,
 * ranges of codes and scales, padding. Nothing of it has to be a model that this program can run.
 * VL2_OK if it is whole. VL2_ERROR_MODEL if it is not: `report` is filled if header and index are
 * whole, and all zero otherwise. VL2_ERROR_ARGUMENT, VL2_ERROR_IO, VL2_ERROR_MEMORY,
 * VL2_ERROR_CANCELLED: all zero. */
VL2_API vl2_status vl2_verify_file(const vl2_verify_options *options, vl2_verify_report *report,
                                   vl2_error *error);
VL2_API void vl2_verify_report_clear(vl2_verify_report *report);

typedef struct vl2_unpack_options {
    const char *path; /* of the packed file */
    const char *out;  /* folder; made if missing, refused if it has a checkpoint already */
    /* "source" (the default): each tensor as it was in the checkpoint; "bf16", "f32": all of
     * them */
    const char *type;
    uint64_t shard_bytes; /* most bytes per file; default (and for 0) 4 GiB */
    int threads;          /* 0: vl2_cpu_count() */
    bool overwrite;       /* a checkpoint that is there is removed first */
    vl2_progress_callback progress; /* may be NULL */
    void *progress_user;
    /* May be NULL. Asked every few megabytes, by the thread that called; returning true ends the
     * call with VL2_ERROR_CANCELLED. */
    bool (*cancelled)(void *user);
    void *cancelled_user;
} vl2_unpack_options;

VL2_API void vl2_unpack_options_defaults(vl2_unpack_options *options);

/* Writes a packed file as a Hugging Face folder: safetensors, configuration and tokenizer. Weights
 * that were packed without loss come back bit by bit; the others as what their codes mean, rounded
 * to the nearest number of the type. When it fails or is cancelled, it removes what it has written.
 * VL2_ERROR_ARGUMENT, VL2_ERROR_MODEL (not a packed file, or a damaged part), VL2_ERROR_IO,
 * VL2_ERROR_MEMORY, VL2_ERROR_CANCELLED. */
VL2_API vl2_status vl2_unpack(const vl2_unpack_options *options, vl2_error *error);

/* ------------------------------------------------------------------------------------ measuring */

typedef enum vl2_bench_part {
    VL2_BENCH_MACHINE = 1,     /* only the machine's limits, which are always measured */
    VL2_BENCH_PREFILL = 2,     /* reading a prompt */
    VL2_BENCH_DECODE = 4,      /* one token behind a context */
    VL2_BENCH_VISION = 8,      /* tiles through vision tower and projector: 1, and 10 */
    VL2_BENCH_FIRST_TOKEN = 16 /* a picture of 3 x 3 tiles and a question, to the first token */
} vl2_bench_part;

typedef struct vl2_bench_options {
    const char *model; /* what vl2_model_open takes; or NULL, and */
    const char *size;  /* random weights in memory of a published shape: "tiny", "small", "base" */
    const char *quant; /* of random weights, as in vl2_pack_options; NULL: "mixed" */
    uint64_t seed;     /* of weights and tokens */
    unsigned parts;    /* sum of vl2_bench_part; default: all */
    const int *threads; /* [thread_count]: all is measured with each; NULL: vl2_cpu_count() */
    size_t thread_count;
    const int *prompts; /* [prompt_count] tokens of prefill; NULL: 128, 512, 2048 */
    size_t prompt_count;
    const int *contexts; /* [context_count] of decode; NULL: 0, 1024, 3500 */
    size_t context_count;
    int tokens; /* decoded in each run; default 8 */
    int chunk;  /* prompt tokens that go through the decoder at once; default 1024 */
    vl2_kv_type kv_type;
    int repeat; /* runs of each measurement, behind one that warms up; default 5 */
    uint64_t ram; /* as in vl2_model_options, of a model that is opened */
    size_t slots; /* the same */
    vl2_progress_callback progress; /* may be NULL */
    void *progress_user;
    /* May be NULL. Asked often, by the thread that called vl2_bench; returning true ends the call
     * with VL2_ERROR_CANCELLED. */
    bool (*cancelled)(void *user);
    void *cancelled_user;
} vl2_bench_options;

VL2_API void vl2_bench_options_defaults(vl2_bench_options *options);

/* What a processor core can do at most with registers alone. */
typedef struct vl2_bench_peak {
    char isa[16]; /* "avx2", "amx", ... as in vl2_cpu_report */
    char kind[8]; /* "int8", "bf16" or "f32": what is multiplied */
    double rate;  /* operations per second of all threads; a multiplication and an addition are 2 */
    bool used;    /* limits of this run are reckoned with it */
} vl2_bench_peak;

typedef struct vl2_bench_stage {
    const char *name; /* static */
    double seconds;   /* mean of the runs; of decode for one token */
} vl2_bench_stage;

#define VL2_BENCH_STAGES 24
#define VL2_BENCH_PEAKS  16

typedef struct vl2_bench_result {
    vl2_bench_part part;
    int tokens;  /* prefill, first token: of the prompt; decode: those of one run */
    int context; /* decode: positions in the KV cache before the first of them */
    int tiles;   /* vision, first token */
    int runs;
    /* Medians and extremes: of the prompt, of one token, of all tiles, to the first token. */
    double seconds, least, most;
    double rate; /* tokens per second of prefill and decode; tiles per second of vision */
    /* What that needs at least: bytes of weights as they are stored, and of the KV cache, that are
     * read for one token (decode); operations with packed weights, and with others. Attention's own
     * products count to the larger of the two. */
    double weight_bytes, cache_bytes, integer_operations, float_operations;
    /* What was read of the file in all runs; all zero unless the model is paged. */
    vl2_paging paging;
    double p99;      /* of decode: 99 % of the tokens took at most so long */
    double limit;    /* seconds that the machine needs for it at least */
    double fraction; /* limit / seconds */
    vl2_bench_stage stages[VL2_BENCH_STAGES]; /* [stage_count], those that took any time */
    size_t stage_count;
} vl2_bench_result;

typedef struct vl2_bench_run {
    int threads;
    double read_bandwidth; /* bytes per second */
    vl2_bench_peak peaks[VL2_BENCH_PEAKS]; /* [peak_count] */
    size_t peak_count;
    vl2_bench_result *results; /* [result_count] */
    size_t result_count;
    uint64_t memory_peak; /* bytes, largest resident size of the process so far; 0: not known */
} vl2_bench_run;

typedef struct vl2_bench_report {
    char model[256]; /* its path, or "random tiny" */
    char quant[16];  /* "" for a model that was opened */
    uint64_t weight_bytes; /* of all weights as they are stored; 0 for the machine alone */
    uint64_t active_bytes; /* of these, read for one token of text */
    uint64_t cache_bytes;  /* of the KV cache for one position */
    double seconds_open;   /* opening the model, or making its weights */
    vl2_bench_run *runs;   /* [run_count], one for each number of threads */
    size_t run_count;
} vl2_bench_report;

/* Measures what the machine can do, and what a model makes of it. The KV cache of a context is
 * filled with one constant; prompts are random tokens; pictures are noise. Random weights are made
 * first, and need their own size in memory and nothing else.
 * VL2_ERROR_ARGUMENT, and what vl2_model_open and vl2_session_generate give; *report is all zero
 * then. vl2_bench_report_clear frees it. */
VL2_API vl2_status vl2_bench(const vl2_bench_options *options, vl2_bench_report *report,
                             vl2_error *error);
VL2_API void vl2_bench_report_clear(vl2_bench_report *report);

/* This machine as vl2 sees it: instruction sets, caches, and which kernel fills each slot. As text,
 * or as one JSON object. The caller frees it with vl2_free; NULL if there is no memory. */
VL2_API char *vl2_cpu_report(bool json);

/* Physical cores that this process may use: affinity and control group quotas included. At least
 * 1. */
VL2_API int vl2_cpu_count(void);

#ifdef __cplusplus
}
#endif

#endif
