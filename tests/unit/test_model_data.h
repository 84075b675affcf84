/* What the tests of model/ and engine/ share: folders, miniature checkpoints, pictures. Failures
 * fail the running test. */
#ifndef TEST_MODEL_DATA_H
#define TEST_MODEL_DATA_H

#include "test.h"

#include "vl2.h"
#include "weights/synth.h"

#define FOLDER_SIZE 64

/* A fresh temporary folder, and removing it with all that is in it. */
void folder_make(char folder[FOLDER_SIZE]);
void folder_remove(const char *folder);

/* A shape of about a hundred kilobytes with odd sizes: MLA, softmax gate, experts from layer 1
 * on. */
void miniature(synth_shape *shape);

/* Writes the shape into the folder. shard_bytes 0: one file. */
void miniature_write(const synth_shape *shape, uint64_t seed, uint64_t shard_bytes,
                     const char *folder);

/* Merges a JSON object, nested ones too, into a JSON file of the folder. NULL: nothing. */
void json_patch(const char *folder, const char *file, const char *patch);

/* A made-up picture: smooth colours with some noise, different for each seed. */
vl2_image *picture_make(int width, int height, uint32_t seed);
/* One colour all over. */
vl2_image *picture_plain(int width, int height, uint8_t value);

vl2_model *model_open_or_fail(const char *folder);
vl2_session *session_open_or_fail(vl2_model *model, int context, int chunk, int threads);

/* One user message (content takes the pictures in order); the pictures stay the caller's. */
vl2_conversation *conversation_of(const char *content, vl2_image *const *images, size_t count);
void conversation_add(vl2_conversation *conversation, const char *role, const char *content,
                      vl2_image *const *images, size_t count);

/* Packs a folder into a file, over one that is there. threads 0: as many as there are cores. */
void pack_or_fail(const char *folder, const char *out, const char *quant, int threads);

/* Answers a question about two pictures with `tokens` tokens. `answer` is always to be cleared. */
vl2_status answer_two_pictures(vl2_session *session, int tokens, vl2_answer *answer,
                               vl2_error *error);

#endif
