/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces for tests: made inside the test process, gone with it.
 *
 * A namespace is a file descriptor. Nothing is registered under a name, so nothing is left behind when the
 * test ends, fails or crashes. The calling thread is moved by netns_enter() and stays there; the other
 * functions come back to where they were. Needs CAP_SYS_ADMIN: root, or the whole test under `unshare -Urn`.
 */
#pragma once

#include "probe/base.h"
#include <sys/types.h>

#define NETNS_HERE (-1) /* the namespace in which the calling thread is */

/* Moves the calling thread into a fresh namespace with its loopback up. 0, or a negative errno: skip then. */
int netns_enter(void);

/* Makes another namespace, loopback up, forwarding off. Returns its descriptor, or a negative errno. */
int netns_new(void);

/* Moves the calling thread into a namespace. 0 or a negative errno. */
int netns_switch(int ns);

/*
 * Runs a shell command line in a namespace and waits for it. Returns its exit status, or a negative errno.
 * netns_must() ends the test (abort) with the command and its status when that is not 0.
 */
int netns_run(int ns, const char *format, ...) __attribute__((format(printf, 2, 3)));
void netns_must(int ns, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Waits until an IPv6 address that was added without duplicate address detection can be reached: the kernel makes its
 * local route a moment later, in a queue that waits while interfaces are made anywhere on the machine.
 */
void netns_await_address(int ns, const char *address);

/* A veth pair, both ends up; ends the test on failure. An IPv4 address ("10.0.0.1/24", or NULL) for each end. */
void netns_veth(int ns_a, const char *name_a, const char *address_a, int ns_b, const char *name_b,
                const char *address_b);

/* socket(2) in a namespace, close-on-exec; a negative errno on failure. It stays there for good. */
int netns_socket(int ns, int domain, int type, int protocol);

/*
 * Forks; the child runs function(context) in the namespace, exits with what it returns, and is killed when
 * its parent's thread ends. netns_stop() kills it and waits; netns_wait() waits and returns the exit status.
 */
pid_t netns_spawn(int ns, int (*function)(void *context), void *context);
int netns_wait(pid_t pid);
void netns_stop(pid_t pid);

/* Like netns_spawn(), for a program: argv ends with NULL; argv[0] is looked up in PATH. */
pid_t netns_start(int ns, char *const argv[]);
