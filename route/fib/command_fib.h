/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the FIB by commands share, and nobody else needs: command_table.c knows, command_change.c changes,
 * backend_command.c puts them together.
 */
#pragma once

#include "route/fib/backend.h"
#include "route/fib/command.h"
#include "route/fib/dialect.h"
#include "route/fib/fib.h"

struct command_fib {
    const struct dialect *dialect;
    char *program, *netstack, *mtu_program;
    struct fib_mtus *mtus; /* NULL: they are not asked for */
    uint64_t mtus_ns;      /* when they were last asked for */
    uint64_t timeout_ns;
    fib_hear *hear; /* NULL: nobody listens */
    void *hear_context;
    struct command_runner runner;
    struct text_table table; /* of this family, as it was read at read_ns; 0: it is not known */
    uint8_t family;
    uint64_t read_ns;
    bool doubted;             /* all may have changed since */
    struct fib_route removed; /* for the sake of one that does not stand yet; without destination: none */
    size_t beside;            /* how many others stood at its key */
};

#define ROUTE_TEXT(route) fib_route_text((route), (char[256]){0}, 256)

/* --- what is known: command_table.c --- */

/*
 * Runs a command. 0 with what it said, malloc'ed, and how it ended, as of waitpid(); or an error of which nothing follows,
 * with its message.
 */
int command_fib_run(struct fib *fib, struct dialect_order *order, bool may_be_given_up, char **output,
                    int *status);

/* The error for what a command says instead of what it was asked for: -EBUSY when that says so, else `error`. */
int command_fib_refusal(const struct fib *fib, const char *output, int error);

/* What must be known to speak of routes: the host and the table of this family. 0 or a negative errno. */
int command_fib_know(struct fib *fib, uint8_t family);

/* Reads the table, whatever is known of it: after a change. 0 or a negative errno. */
int command_fib_read_again(struct fib *fib, uint8_t family);

/* A line of the table with its interface, and whose it is. */
struct fib_route command_fib_route(const struct fib *fib, const struct text_route *line);

bool command_fib_is_host_route(const struct text_route *line, const struct address *service);

/* Strays: see struct fib. */
bool command_fib_is_stray(const struct fib *fib, const struct fib_route *route);
void command_fib_add_stray(struct fib *fib, const struct fib_route *route);
void command_fib_forget_stray(struct fib *fib, const struct fib_route *route);

/* --- changes: command_change.c; as put() and drop() of a backend --- */

int command_fib_put(struct fib *fib, const struct fib_route *route, const struct fib_route *instead);
int command_fib_drop(struct fib *fib, const struct fib_route *route);
