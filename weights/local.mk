# weights: safetensors files and checkpoints; the generator of synthetic ones. Includes base/ only.
noinst_LTLIBRARIES += libweights.la
room_libs += libweights.la
libweights_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
libweights_la_SOURCES = \
	weights/checkpoint.c weights/checkpoint.h \
	weights/safetensors.c weights/safetensors.h
