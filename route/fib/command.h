/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program to its end, or to ours: what it says is read, and nothing that it does lasts longer than it is given.
 *
 * There is no shell. The program gets a process group of its own, what it is given as standard input, no descriptor of
 * ours, the default action of every signal, and our environment with LC_ALL=C and what it is given besides. At the end,
 * whichever it is, the whole group is killed. One that does not even end then (it hangs inside the kernel) is left behind,
 * and reaped later.
 *
 * When this process is killed the program is killed too, by the kernel where that can be (PR_SET_PDEATHSIG, prctl(2)).
 * What the program has started itself only its group tells: who outlives this process ends that, see command_groups.
 *
 * Not for two threads at once with the same runner.
 */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "probe/base.h"
#include "probe/spare_fds.h"

#define COMMAND_OUTPUT_BYTES ((size_t)1 << 20)
#define COMMAND_INPUT_BYTES  ((size_t)4096) /* a pipe takes so much at once, see PIPE_BUF in pipe(7) */
#define COMMANDS_LEFT_MAX    8

/* COMMAND_RUNNER_NEW to begin with. */
struct command_runner {
    pid_t left[COMMANDS_LEFT_MAX]; /* killed, and not ended yet */
    size_t left_count;
    struct spare_fds
        spare; /* what a run needs: its owner may keep them from the start, and releases them in the end */
};

#define COMMAND_RUNNER_NEW ((struct command_runner){.spare = SPARE_FDS_NONE})

struct command {
    const char *const *arguments; /* NULL at the end; the first one is the program, an absolute path */
    uint64_t timeout_ns;          /* for the whole of it */
    const atomic_bool *give_up;   /* or NULL: as soon as another thread sets this, it is killed */
    const char *input;            /* a text of COMMAND_INPUT_BYTES at most; NULL: nothing */
    const char *const *variables; /* "NAME=VALUE", each name once, NULL at the end; NULL: none */
};

/*
 * Runs it and waits. *output: what it wrote to standard output and standard error, to be freed; NULL on failure.
 * *status: as waitpid() tells it. Returns 0 when it has ended by itself, or
 *   -ETIMEDOUT   it was killed, as its time was over
 *   -ECANCELED   it was killed, as `give_up` says
 *   -EMSGSIZE    it was killed, as it wrote more than COMMAND_OUTPUT_BYTES
 *   -EBUSY       it was not started: COMMANDS_LEFT_MAX that were killed hang
 *   -ECHILD      nobody knows how it ended, as SIGCHLD is ignored here
 *   -E2BIG       it was not started: the input is too long
 *   others       it was not started: execve()'s, fork()'s, pipe()'s errno
 */
int command_run(struct command_runner *runner, const struct command *command, char **output, int *status);

/* The groups of the programs that run now; 0: a free place. In memory that two processes share. */
struct command_groups {
    _Atomic(pid_t) groups[8]; /* a runner has one at a time */
};

/* From now on this process notes them there, for all of its runners; NULL: nowhere. It stays the caller's. */
void command_note_groups(struct command_groups *groups);
/* Kills those that a process has left which is gone. */
void command_end_groups(struct command_groups *groups);
