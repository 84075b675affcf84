/* SIGINT and SIGTERM: what they do depends on what the program is about to do. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include "vl2.h"

#include <stdbool.h>

/* Catches both signals. Until another mode is chosen they end the program at once with 130, which
 * is right while there is nothing to put in order. Also ignores SIGPIPE and SIGXFSZ: a write that
 * fails says why. */
void interrupt_install(void);

/* From here on a signal cancels the session's request; a third one ends the program. */
void interrupt_cancels(vl2_session *session);
/* From here on a signal is only noted. */
void interrupt_noted(void);
/* From here on a signal ends the program again. */
void interrupt_ends(void);

/* The last signal since interrupt_reset, or 0. */
int interrupt_signal(void);
/* True if there was one: what the library's `cancelled` callbacks ask. `user` is not looked at. */
bool interrupt_came(void *user);
void interrupt_reset(void);

#endif
