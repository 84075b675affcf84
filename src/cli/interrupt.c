#include "cli/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define EXIT_INTERRUPTED 130

/* A signal handler gets no context pointer: these are the program's only mutable globals. */
static _Atomic(vl2_session *) watched;
static atomic_int noted, last_signal, signals_since;

static void handle(int signal)
{
    vl2_session *session = atomic_load(&watched);
    atomic_store(&last_signal, signal);
    if (session != NULL) {
        vl2_session_cancel(session);
    }
    if ((session == NULL && !atomic_load(&noted)) || atomic_fetch_add(&signals_since, 1) >= 2) {
        _exit(EXIT_INTERRUPTED);
    }
}

/* A signal that is ignored when the program starts stays so: a shell runs its background jobs like
 * that. */
static void install(int signal, const struct sigaction *action)
{
    struct sigaction before;
    if (sigaction(signal, NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
        sigaction(signal, action, NULL);
    }
}

void interrupt_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    sigemptyset(&action.sa_mask);
    action.sa_handler = handle; /* no SA_RESTART: waiting for a line must end */
    install(SIGINT, &action);
    install(SIGTERM, &action);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}

void interrupt_cancels(vl2_session *session)
{
    interrupt_reset();
    atomic_store(&noted, 1);
    atomic_store(&watched, session);
}

void interrupt_noted(void)
{
    atomic_store(&noted, 1);
    atomic_store(&watched, NULL);
}

void interrupt_ends(void)
{
    atomic_store(&watched, NULL);
    atomic_store(&noted, 0);
}

int interrupt_signal(void)
{
    return atomic_load(&last_signal);
}

void interrupt_reset(void)
{
    atomic_store(&last_signal, 0);
    atomic_store(&signals_since, 0);
}

bool interrupt_came(void *user)
{
    (void)user;
    return interrupt_signal() != 0;
}
