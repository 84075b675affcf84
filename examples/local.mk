# Small programs on vl2.h alone. tests/cli/test_examples.sh runs them.
noinst_PROGRAMS += examples/ask examples/stream_cancel examples/two_sessions
examples_ask_SOURCES = examples/ask.c
examples_ask_LDADD = libvl2.la
examples_stream_cancel_SOURCES = examples/stream_cancel.c
examples_stream_cancel_LDADD = libvl2.la
examples_two_sessions_SOURCES = examples/two_sessions.c
examples_two_sessions_LDADD = libvl2.la

# Public sets as tasks for vl2 eval. tests/cli/test_eval_sets.sh runs them.
EXTRA_DIST += examples/eval/README.md examples/eval/convert_docvqa.py \
	examples/eval/convert_mmbench.py examples/eval/convert_refcoco.py
