/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct event_base;
struct event_config;

/*
 * A loop of libevent that waits in a way that works here: on some hosts epoll can be made but only ever answers
 * EINVAL, and libevent does not try another one then. config may be NULL. NULL: no memory, or no way works.
 * It takes away libevent's log callback: set one afterwards.
 */
struct event_base *loop_new(struct event_config *config);
