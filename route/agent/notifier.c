/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/notifier.h"

#include <sys/wait.h>

#include "probe/quantity.h"
#include "probe/text.h"
#include "probe/thread.h"
#include "probe/wakeup.h"
#include "route/fib/command.h"

#define STACK_BYTES ((size_t)64 << 10)

struct notifier {
    struct command_runner runner; /* the thread's alone */
    pthread_t thread;
    bool started;
    struct wakeup wakeup;
    atomic_bool give_up; /* what runs is to be killed */

    pthread_mutex_t lock; /* of all below; held for moments only */
    pthread_cond_t work, idle;
    struct notice *waiting;
    bool ending;
    struct notifier_report report;
};

struct notice *notice_free(struct notice *notice)
{
    if (!notice)
        return NULL;
    for (char **variable = notice->variables; variable && *variable; variable++)
        free(*variable);
    free(notice->variables);
    free(notice->document);
    free(notice->program);
    free(notice);
    return NULL;
}

/* --- the thread --- */

/* Why a run was none, in words: command_run()'s error. */
static void describe_error(int error, uint64_t timeout_ns, char text[static NOTIFIER_TEXT_SIZE])
{
    char time[QUANTITY_TEXT_SIZE];

    if (error == -ETIMEDOUT)
        snprintf(text, NOTIFIER_TEXT_SIZE, "killed after %s", quantity_time_text(timeout_ns, time));
    else if (error == -EMSGSIZE)
        snprintf(text, NOTIFIER_TEXT_SIZE, "killed: it printed more than %zu bytes", COMMAND_OUTPUT_BYTES);
    else if (error == -ECANCELED)
        snprintf(text, NOTIFIER_TEXT_SIZE, "killed: the agent ends");
    else if (error == -EBUSY)
        snprintf(text, NOTIFIER_TEXT_SIZE, "not started: %d that were killed hang", COMMANDS_LEFT_MAX);
    else
        snprintf(text, NOTIFIER_TEXT_SIZE, "not started: %s", strerror(-error));
}

/* How it ended, with the first line that it printed; empty: well. */
static void describe_end(int status, const char *output, char text[static NOTIFIER_TEXT_SIZE])
{
    int line = (int)strcspn(output, "\n");
    int n;

    text[0] = '\0';
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (WIFEXITED(status))
        n = snprintf(text, NOTIFIER_TEXT_SIZE, "exit code %d", WEXITSTATUS(status));
    else
        n = snprintf(text, NOTIFIER_TEXT_SIZE, "ended by signal %d", WTERMSIG(status));
    if (line > 0)
        snprintf(text + n, NOTIFIER_TEXT_SIZE - (size_t)n, ": %.*s", line, output);
}

static void run_program(struct notifier *notifier, const struct notice *notice,
                        char text[static NOTIFIER_TEXT_SIZE])
{
    const struct command command = {
        .arguments = (const char *const[]){notice->program, NULL},
        .timeout_ns = notice->timeout_ns,
        .give_up = &notifier->give_up,
        .input = notice->document,
        .variables = (const char *const *)notice->variables,
    };
    CLEANUP(free) char *output = NULL;
    int status, error = command_run(&notifier->runner, &command, &output, &status);

    if (error)
        describe_error(error, notice->timeout_ns, text);
    else
        describe_end(status, output, text);
}

static void settle(struct notifier *notifier, const char *error)
{
    notifier->report.runs++;
    notifier->report.failures += error[0] != '\0';
    snprintf(notifier->report.error, sizeof(notifier->report.error), "%s", error);
    wakeup_ring(notifier->wakeup.ring_fd);
}

static void *run(void *context)
{
    struct notifier *notifier = context;
    char error[NOTIFIER_TEXT_SIZE];

    pthread_mutex_lock(&notifier->lock);
    while (notifier->waiting || !notifier->ending) {
        struct notice *notice = TAKE(notifier->waiting);

        if (!notice) {
            condition_wait(&notifier->work, &notifier->lock, NEVER_NS);
            continue;
        }
        notifier->report.running = true;
        pthread_mutex_unlock(&notifier->lock);
        run_program(notifier, notice, error);
        notice_free(notice);
        pthread_mutex_lock(&notifier->lock);
        notifier->report.running = false;
        settle(notifier, error);
        pthread_cond_signal(&notifier->idle);
    }
    pthread_mutex_unlock(&notifier->lock);
    return NULL;
}

/* --- start and end --- */

int notifier_open(struct notifier **out)
{
    struct notifier *notifier = calloc(1, sizeof(*notifier));
    char message[128];
    int error;

    *out = NULL;
    if (!notifier)
        return -ENOMEM;
    error = wakeup_open(&notifier->wakeup, message, sizeof(message));
    if (error) {
        free(notifier);
        return error;
    }
    notifier->runner = COMMAND_RUNNER_NEW;
    pthread_mutex_init(&notifier->lock, NULL);
    condition_init(&notifier->work);
    condition_init(&notifier->idle);
    *out = notifier;
    return 0;
}

static void end_thread(struct notifier *notifier, uint64_t wait_ns)
{
    uint64_t until_ns = add_sat_u64(clock_now_ns(CLOCK_MONOTONIC), wait_ns);

    pthread_mutex_lock(&notifier->lock);
    notifier->ending = true;
    pthread_cond_signal(&notifier->work);
    while ((notifier->waiting || notifier->report.running) &&
           condition_wait(&notifier->idle, &notifier->lock, until_ns))
        ;
    notifier->waiting = notice_free(notifier->waiting);
    pthread_mutex_unlock(&notifier->lock);
    atomic_store(&notifier->give_up, true);
    pthread_join(notifier->thread, NULL);
}

struct notifier *notifier_close(struct notifier *notifier, uint64_t wait_ns)
{
    if (!notifier)
        return NULL;
    if (notifier->started)
        end_thread(notifier, wait_ns);
    spare_fds_release(&notifier->runner.spare);
    wakeup_close(&notifier->wakeup);
    pthread_cond_destroy(&notifier->work);
    pthread_cond_destroy(&notifier->idle);
    pthread_mutex_destroy(&notifier->lock);
    free(notifier);
    return NULL;
}

/* --- handing over --- */

/* 0, or why nothing can be run, a negative errno. */
static int start_once(struct notifier *notifier)
{
    int error = notifier->started ? 0 : thread_start(&notifier->thread, STACK_BYTES, run, notifier);

    notifier->started |= error == 0;
    return error;
}

void notifier_hand_over(struct notifier *notifier, struct notice *notice)
{
    int error = notice ? start_once(notifier) : -ENOMEM;
    struct notice *unneeded = notice;
    char text[NOTIFIER_TEXT_SIZE];

    pthread_mutex_lock(&notifier->lock);
    if (error) {
        describe_error(error, 0, text);
        settle(notifier, text);
    } else {
        unneeded = notifier->waiting;
        notifier->waiting = notice;
        pthread_cond_signal(&notifier->work);
    }
    pthread_mutex_unlock(&notifier->lock);
    notice_free(unneeded);
}

bool notifier_take_back(struct notifier *notifier)
{
    struct notice *notice;
    bool waited;

    pthread_mutex_lock(&notifier->lock);
    notice = TAKE(notifier->waiting);
    pthread_mutex_unlock(&notifier->lock);
    waited = notice != NULL;
    notice_free(notice);
    return waited;
}

/* --- what has become of it --- */

int notifier_fd(const struct notifier *notifier)
{
    return notifier->wakeup.fd;
}

void notifier_report(struct notifier *notifier, struct notifier_report *report)
{
    wakeup_empty(notifier->wakeup.fd);
    pthread_mutex_lock(&notifier->lock);
    *report = notifier->report;
    pthread_mutex_unlock(&notifier->lock);
}
