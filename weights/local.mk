# weights: safetensors files and checkpoints; the generator of synthetic ones. Includes base/ only.
noinst_LTLIBRARIES += libweights.la
room_libs += libweights.la
libweights_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
libweights_la_SOURCES = \
	weights/checkpoint.c weights/checkpoint.h \
	weights/safetensors.c weights/safetensors.h \
	weights/synth.c weights/synth.h \
	weights/synth_config.c weights/synth_config.h \
	weights/synth_random.c weights/synth_random.h \
	weights/synth_shape.c \
	weights/synth_tensors.c weights/synth_tensors.h \
	weights/synth_tokenizer.c
