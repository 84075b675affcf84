# Manual pages. The option lists in them come from the program: man/update-docs.sh.
dist_man_MANS += man/vl2.1 man/vl2-ask.1 man/vl2-bench.1 man/vl2-boxes.1 man/vl2-calibrate.1 man/vl2-chat.1 \
	man/vl2-compare.1 man/vl2-eval.1 man/vl2-ground.1 man/vl2-info.1 man/vl2-pack.1 man/vl2-plan.1 man/vl2-synth.1 \
	man/vl2-tiles.1 man/vl2-tokenize.1 man/vl2-trace.1 man/vl2-unpack.1 man/vl2-verify.1 \
	man/vl2.3 man/vl2-weights.5
dist_noinst_SCRIPTS += man/update-docs.sh
