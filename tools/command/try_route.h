/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One cycle of a host route to an address that nobody uses: absent, added, seen, changed, seen, deleted, absent; by the
 * very FIB that the agent would use. What a host does with its routes is not known before it was tried there.
 *
 * Once a route was added, nothing but SIGKILL leaves it behind without a word: an error, a signal and a command that
 * hangs end the cycle, and then the route is looked for and removed.
 */
#pragma once

#include "route/fib/fib.h"

#define TRY_GATEWAYS_MAX  2
#define TRY_STEPS_MAX     16
#define TRY_COMMANDS_MAX  64
#define TRY_OUTPUT_BYTES  8192
#define TRY_MESSAGE_SIZE  512
#define TRY_CLEAN_UPS_MAX 3

/* What is to be tried. */
struct try_route {
    struct address address;
    struct address gateways[TRY_GATEWAYS_MAX];
    size_t gateway_count;
    struct address service; /* of a configuration: never touched. Empty: there is none */
    struct fib_settings settings;
};

/* A command that a step ran. */
struct try_command {
    char *command, *output; /* NULL: it had no time to say anything, or there was no memory */
    bool cut;               /* it said more than TRY_OUTPUT_BYTES */
    int error, status;      /* as in struct fib_heard */
    uint64_t took_ns;
};

struct try_step {
    const char *name;
    int error; /* 0 or a negative errno */
    char message[TRY_MESSAGE_SIZE];
    uint64_t took_ns;
    size_t first, count; /* its commands */
};

enum try_end {
    TRY_DONE,    /* the whole cycle */
    TRY_FAILED,  /* not the whole of it; nothing was left */
    TRY_STOPPED, /* the same, by a signal */
    TRY_LEFT,    /* a route may still stand */
};

/* All zero to begin with; try_run_clear() in the end. */
struct try_run {
    const struct try_route *route;
    void (*show)(const struct try_run *run,
                 const struct try_step *step); /* each as soon as it is over; or NULL */
    struct fib *fib;
    const char *backend; /* NULL: none could be opened */
    struct try_step steps[TRY_STEPS_MAX];
    size_t step_count;
    struct try_command commands[TRY_COMMANDS_MAX];
    size_t command_count;
    struct fib_route standing; /* what stood where nothing should; without destination: nothing did */
    enum try_end end;
};

/*
 * Reads "192.0.2.1/32" (or without its length) and the operands behind it: "via", a gateway, perhaps a second one.
 * 0, or -EINVAL with a line in message.
 */
int try_route_parse(struct try_route *route, const char *address, int count, char *const *operands,
                    char *message, size_t size_bytes);

/* What is known of the addresses before anything is changed. */
struct try_facts {
    int address;                      /* what fib_egress() says of it */
    int gateways[TRY_GATEWAYS_MAX];   /* and of each gateway */
    const struct fib_route *standing; /* a host route that stands there; NULL: none, or it is not known */
};

/* Must these addresses be left alone? 0, or an exit code with one line in message. */
int try_route_refuse(const struct try_route *route, const struct try_facts *facts, char *message,
                     size_t size_bytes);

/*
 * Opens the FIB and looks. 0, or an exit code with a line in message: then nothing more is to be done. What failed
 * for the host's part is no refusal but a step.
 */
int try_run_begin(struct try_run *run, const struct try_route *route, char *message, size_t size_bytes);
/* The rest of it. From here on a signal (INT, TERM, HUP) ends the cycle, a second one the cleaning up as well. */
void try_run_finish(struct try_run *run);
void try_run_clear(struct try_run *run);
