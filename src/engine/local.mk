# engine: implements vl2.h. Opens a model, owns a session, wires the stages.
noinst_LTLIBRARIES += libengine.la
room_libs += libengine.la
libengine_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
libengine_la_SOURCES = \
	src/engine/answer.c src/engine/answer.h \
	src/engine/bench.c src/engine/bench.h \
	src/engine/bench_machine.c src/engine/bench_model.c src/engine/bench_work.c \
	src/engine/boxes.c \
	src/engine/budget.c src/engine/budget.h \
	src/engine/calibrate.c src/engine/calibrate.h \
	src/engine/calibration_file.c \
	src/engine/compare.c src/engine/compare.h \
	src/engine/compare_models.c \
	src/engine/comparison.c \
	src/engine/conversation.c src/engine/conversation.h \
	src/engine/conversation_file.c \
	src/engine/encode.c \
	src/engine/files.c src/engine/files.h \
	src/engine/generate.c \
	src/engine/image.c src/engine/image.h \
	src/engine/info.c \
	src/engine/model.c src/engine/model.h \
	src/engine/numbers.c src/engine/numbers.h \
	src/engine/pack.c \
	src/engine/pack_tools.c \
	src/engine/paging.c src/engine/paging.h \
	src/engine/picture.c src/engine/picture.h \
	src/engine/plan.c src/engine/plan.h \
	src/engine/routing_log.c src/engine/routing_log.h \
	src/engine/session.c src/engine/session.h \
	src/engine/tiles.c \
	src/engine/tokens.c \
	src/engine/tools.c \
	src/engine/trace.c
