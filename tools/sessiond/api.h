/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP side of the lab's session service: session-service.md, misbehaviour on command, and a look inside.
 */
#pragma once

#include "probe/base.h"

struct event_base;
struct lab_api;
struct lab_cluster;

/* Listens on every address of this namespace. 0 or a negative errno. Borrows base and cluster. */
int lab_api_new(struct lab_api **out, struct event_base *base, struct lab_cluster *cluster, uint16_t port);
struct lab_api *lab_api_free(struct lab_api *api);
DEFINE_CLEANUP(struct lab_api *, lab_api_free)

/* The table may have changed, or time has passed: answers the refreshes that can be answered now. */
void lab_api_advance(struct lab_api *api, uint64_t now_ns);
