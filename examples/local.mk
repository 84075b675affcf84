# The end of the first command of README.md.
dist_noinst_SCRIPTS += examples/first-answer.sh
CLEANFILES += first-answer.png

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

# The demo model, which commands that answer use without -m, and its recipe.
# tests/cli/test_demo.sh asks it.
dist_pkgdata_DATA = examples/demo-model/demo.vl2
demo_model = examples/demo-model
EXTRA_DIST += $(demo_model)/README.md $(demo_model)/boxes.png $(demo_model)/checkpoint.py $(demo_model)/draw.py \
	$(demo_model)/evaluate.py $(demo_model)/export.py $(demo_model)/heldout.py $(demo_model)/model.py \
	$(demo_model)/plot.py $(demo_model)/questions.py $(demo_model)/samplepictures.py \
	$(demo_model)/samples.py $(demo_model)/table.py $(demo_model)/tiles.py $(demo_model)/tokenizer.json \
	$(demo_model)/tokenizer.py $(demo_model)/train.py \
	$(demo_model)/heldout-small $(demo_model)/run/accuracy.json $(demo_model)/run/accuracy.svg \
	$(demo_model)/run/log.jsonl $(demo_model)/run/loss.svg \
	$(demo_model)/samples/many.jpg $(demo_model)/samples/number.jpg \
	$(demo_model)/samples/one.png $(demo_model)/samples/shapes.png \
	$(demo_model)/samples/tall.png $(demo_model)/samples/wide.png
