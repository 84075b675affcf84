# cli: the program. Sees vl2.h only.
bin_PROGRAMS += vl2
vl2_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) -DPKGDATADIR='"$(pkgdatadir)"'
vl2_LDADD = libvl2.la $(JANSSON_LIBS)
vl2_SOURCES = \
	src/cli/main.c src/cli/command.h \
	src/cli/ask.c src/cli/bench.c src/cli/bench.h src/cli/bench_print.c src/cli/boxes.c src/cli/calibrate.c src/cli/chat.c src/cli/compare.c \
	src/cli/ground.c src/cli/info.c src/cli/pack.c src/cli/plan.c \
	src/cli/synth.c src/cli/tiles.c src/cli/tokenize.c src/cli/trace.c \
	src/cli/unpack.c src/cli/verify.c \
	src/cli/weight_groups.c src/cli/weight_groups.h \
	src/cli/writing.c src/cli/writing.h \
	src/cli/eval.c src/cli/eval_boxes.c src/cli/eval_expected.c src/cli/eval_judge.c src/cli/eval_messages.c \
	src/cli/eval_output.c src/cli/eval_print.c src/cli/eval_reader.h src/cli/eval_run.c \
	src/cli/eval_run.h src/cli/eval_score.c src/cli/eval_score.h src/cli/eval_tasks.c \
	src/cli/eval_tasks.h src/cli/eval_text.c src/cli/eval_text.h \
	src/cli/characters.c src/cli/characters.h \
	src/cli/arguments.c src/cli/arguments.h \
	src/cli/demo_model.c src/cli/demo_model.h \
	src/cli/detections.c src/cli/detections.h \
	src/cli/failure.c src/cli/failure.h \
	src/cli/format.c src/cli/format.h \
	src/cli/help.c src/cli/help.h \
	src/cli/interrupt.c src/cli/interrupt.h \
	src/cli/lines.c src/cli/lines.h \
	src/cli/options.c src/cli/options.h \
	src/cli/progress.c src/cli/progress.h \
	src/cli/paging.c src/cli/paging.h \
	src/cli/ram.c src/cli/ram.h \
	src/cli/request.c src/cli/request.h \
	src/cli/samples.c src/cli/samples.h \
	src/cli/streams.c src/cli/streams.h \
	src/cli/turns.c src/cli/turns.h

# Made by man/update-docs.sh. bash looks for a file named after the command.
dist_bashcompletion_DATA += src/cli/vl2.bash
