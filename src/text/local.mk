# text: tokenizer, chat template, box parsing. Includes base/ only.
noinst_LTLIBRARIES += libtext.la
room_libs += libtext.la
libtext_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(PCRE2_CFLAGS)
libtext_la_SOURCES = \
	src/text/added.c src/text/added.h \
	src/text/bpe.c src/text/bpe.h \
	src/text/grounding.c src/text/grounding.h \
	src/text/grounding_internal.h src/text/grounding_lenient.c \
	src/text/literal.c src/text/literal.h \
	src/text/pattern.c src/text/pattern.h src/text/pattern_translate.c \
	src/text/piece.c src/text/piece.h \
	src/text/pretokenizer.c src/text/pretokenizer.h src/text/pretokenizer_read.c \
	src/text/prompt.c src/text/prompt.h \
	src/text/tokenizer.c src/text/tokenizer.h \
	src/text/tokenizer_compile.c src/text/tokenizer_compiled.h src/text/tokenizer_load.c \
	src/text/tokenizer_internal.h src/text/tokenizer_read.c \
	src/text/unicode.c src/text/unicode.h \
	src/text/utf8.c src/text/utf8.h \
	src/text/vocabulary.c src/text/vocabulary.h
