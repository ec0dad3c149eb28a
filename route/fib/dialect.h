/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a route command is spoken to: what differs between the systems that have nothing but commands. Pure.
 */
#pragma once

#include "route/fib/table_text.h"

#define DIALECT_ARGUMENTS_MAX 24
#define DIALECT_TEXT_SIZE     64

enum dialect_verb { DIALECT_LIST, DIALECT_ADD, DIALECT_REPLACE, DIALECT_DELETE, DIALECT_MTUS };

/* A command to be run; the list points into itself and at the caller's texts. */
struct dialect_arguments {
    const char *list[DIALECT_ARGUMENTS_MAX + 1]; /* NULL at the end */
    size_t count;
    char texts[DIALECT_ARGUMENTS_MAX][DIALECT_TEXT_SIZE];
    size_t text_count;
};

/* What a command is about. */
struct dialect_order {
    enum dialect_verb verb;
    const char *program;
    const char *netstack;          /* empty: none is named */
    uint8_t family;                /* LIST: of the table */
    uint32_t table;                /* where the system has more than one */
    const struct fib_route *route; /* of the other verbs */
};

struct dialect {
    const char *name;
    const char *program;  /* where it is by custom */
    const char *mtus;     /* beside it, the one that tells MTUs; NULL: none is needed */
    bool replaces;        /* it can swap a route in one step */
    bool names_interface; /* a route is put through an interface, not just through a gateway */
    bool ordered;         /* of two routes with the same key the first one is taken; else nobody knows */
    bool has_metric;

    void (*arguments)(const struct dialect_order *order, struct dialect_arguments *arguments);
    /* As esxcfg_text_table(). */
    int (*table)(const char *text, uint8_t family, struct text_table *table, char *why, size_t size_bytes);
    /* Does it say that it did what it was told? status: as of waitpid(). */
    bool (*did)(const struct dialect_order *order, const char *text, int status);
    /* The MTU of an interface, by what `mtus` says; 0: it does not say. */
    uint32_t (*mtu)(const char *text, const char *interface);
    /* Does it say that it could not do it just now? NULL: it never does. */
    bool (*busy)(const char *text);
};

extern const struct dialect dialect_esxcfg, dialect_ip;

/* "esxcfg-route -a 192.168.33.2/32 10.0.0.1": without the folder of the program. Returns buffer. */
const char *dialect_text(const struct dialect_arguments *arguments, char *buffer, size_t size_bytes);
