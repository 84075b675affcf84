# model: configuration, weights by place, vision tower, projector, decoder, sampler.
noinst_LTLIBRARIES += libmodel.la
room_libs += libmodel.la
libmodel_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(OPENBLAS_CFLAGS)
libmodel_la_SOURCES = \
	src/model/attention.c src/model/attention.h \
	src/model/attention_absorbed.c \
	src/model/attention_core.c \
	src/model/attention_expanded.c \
	src/model/attention_latent.c \
	src/model/attention_multi_head.c \
	src/model/compute.c src/model/compute.h \
	src/model/config.c src/model/config.h \
	src/model/decoder.c src/model/decoder.h \
	src/model/joining.c src/model/joining.h \
	src/model/kvcache.c src/model/kvcache.h \
	src/model/linear.c src/model/linear.h \
	src/model/moe.c src/model/moe.h src/model/moe_internal.h \
	src/model/moe_ahead.c src/model/moe_networks.c src/model/moe_paged.c src/model/moe_workspace.c \
	src/model/projector.c src/model/projector.h \
	src/model/rope.c src/model/rope.h \
	src/model/router.c src/model/router.h \
	src/model/order.c src/model/order.h \
	src/model/sampler.c src/model/sampler.h \
	src/model/stages.c src/model/stages.h \
	src/model/vision.c src/model/vision.h \
	src/model/vision_attention.c src/model/vision_attention.h \
	src/model/weights.c src/model/weights.h
