# weights: safetensors files and checkpoints; the generator of synthetic ones; quantization. Includes
# base/ and simd/layout.h only.
noinst_LTLIBRARIES += libweights.la
room_libs += libweights.la
libweights_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(ZSTD_CFLAGS) $(XXHASH_CFLAGS) \
	$(URING_CFLAGS)
libweights_la_SOURCES = \
	weights/checkpoint.c weights/checkpoint.h \
	weights/checkpoint_write.c weights/checkpoint_write.h \
	weights/direct.c weights/direct.h \
	weights/importance.c weights/importance.h \
	weights/loader.c weights/loader.h weights/loader_internal.h \
	weights/loader_measure.c \
	weights/lora.c weights/lora.h weights/lora_internal.h \
	weights/lora_config.c weights/lora_config.h \
	weights/lora_merge.c \
	weights/pack_batch.c weights/pack_batch.h \
	weights/pack_compress.c \
	weights/pack_encode.c weights/pack_encode.h \
	weights/pack_file.c weights/pack_file.h \
	weights/pack_format.c weights/pack_format.h \
	weights/pack_head.c \
	weights/pack_index.c weights/pack_index.h \
	weights/pack_index_write.c weights/pack_index_write.h \
	weights/pack_journal.c \
	weights/pack_part.c weights/pack_part.h \
	weights/pack_plan.c weights/pack_plan.h \
	weights/pack_resume.c weights/pack_resume.h \
	weights/pack_summary.c weights/pack_summary.h \
	weights/pack_types.c weights/pack_types.h \
	weights/pack_verify.c weights/pack_verify.h \
	weights/pack_write.c weights/pack_write.h \
	weights/pager.c weights/pager.h weights/pager_internal.h \
	weights/pager_slots.c \
	weights/place.c weights/place.h \
	weights/quantize.c weights/quantize.h \
	weights/quantize_asymmetric.c \
	weights/quantize_codebook.c \
	weights/quantize_linear.c weights/quantize_linear.h \
	weights/quantize_row.h weights/quantize_settle.c \
	weights/record.c weights/record.h \
	weights/residency.c weights/residency.h \
	weights/ring.c weights/ring.h \
	weights/safetensors.c weights/safetensors.h \
	weights/safetensors_write.c weights/safetensors_write.h \
	weights/store.c weights/store.h weights/store_internal.h \
	weights/store_pack.c \
	weights/store_paged.c \
	weights/store_random.c weights/store_random.h \
	weights/synth.c weights/synth.h \
	weights/synth_config.c weights/synth_config.h \
	weights/synth_files.c \
	weights/synth_random.c weights/synth_random.h \
	weights/synth_shape.c \
	weights/synth_tensors.c weights/synth_tensors.h \
	weights/synth_tokenizer.c \
	weights/unpack.c weights/unpack.h
EXTRA_DIST += weights/FORMAT.md weights/PAGING.md weights/QUANTIZATION.md
