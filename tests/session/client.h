/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the providers share: a loop, a provider, and the last answer kept after its callback.
 */
#pragma once

#include "session/provider.h"

#include <event2/event.h>

#define CLIENT_PORT 8080

struct client {
    struct event_base *base;
    struct session_provider *provider;
    unsigned answers; /* callbacks so far */
    int error;        /* of the last one, as are the rest */
    char message[512];
    struct session_endpoint origin;
    size_t count; /* of the list; SIZE_MAX: none given */
    char uuid[SESSION_UUID_SIZE];
    size_t skipped;
    unsigned unasked;
    uint64_t took_ns;
};

/* rest, port CLIENT_PORT, and patience: on a busy machine a timeout is not what the test is about. */
struct session_provider_settings client_settings(void);
/* A fresh network namespace, an own /tmp (skips the test where it may not have them), and a loop. */
void client_open(struct client *client);
/* Makes the provider; asserts that it can be made. */
void client_provider(struct client *client, const struct session_provider_settings *settings);
void client_close(struct client *client);

/* The callback for all calls; its context is the client. */
void client_answered(void *context, const struct session_answer *answer);
/* Runs the loop until there are so many answers in all; fails the test after 20 s. */
void client_wait(struct client *client, unsigned answers);
/* Runs the loop for a while, in which nothing is expected to happen. */
void client_idle(struct client *client, uint64_t ns);

/* "1=127.0.0.1 1=::1 2=127.0.0.2": access number and address of each. Returns how many. */
size_t endpoints_make(const char *text, struct session_endpoint *endpoints, size_t room);
/* Asks for the list and waits for the answer. */
void client_list(struct client *client, const char *endpoints);

unsigned open_fds(void);
