/* What the tests of the packed files' writer share. Failures fail the running test. */
#ifndef PACK_DATA_H
#define PACK_DATA_H

#include "test.h"

#include "weights/checkpoint.h"
#include "weights/pack_file.h"

#include <stdbool.h>

#define PATH_SIZE 128

/* "FOLDER/NAME" of the test's folder (test_folder.h), in path, which is returned. */
char *in_folder(void **state, const char *name, char path[PATH_SIZE]);

/* Writes a dev checkpoint in several files into the folder "model" of the test's folder; its path,
 * which is returned. */
char *write_model(void **state, const char *size, data_type type, char path[PATH_SIZE]);

void pack_with(const vl2_pack_options *options); /* succeeds */
void expect_failure(const vl2_pack_options *options, vl2_status status, const char *word);

bool is_there(const char *path);
/* OUT.part, and its journal, of which there is one only with the other. */
bool part_is_there(const char *out);
void expect_equal_files(const char *a, const char *b);

pack_file *open_pack(const char *path);
checkpoint *open_model(const char *path);

/* A packed tensor is bit for bit what `source` has, or what quantize_matrix makes of all of it in
 * one go with this importance (may be NULL). `packed` says which of them. */
void check_tensor(const pack_file *file, const pack_tensor *packed, const tensor_view *source,
                  const float *importance);
/* The same, whatever type the file says the checkpoint has. */
void check_numbers(const pack_file *file, const pack_tensor *packed, const tensor_view *source,
                   const float *importance);

#endif
