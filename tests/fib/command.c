/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: a program is run without a shell and with nothing of ours, what it says is read whole or not at
 * all, and whatever it does it is over in time, its children too.
 */
#include "route/fib/command.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct command_runner runner = {.spare = {.fds = {-1, -1, -1, -1}}};

static int run_for(uint64_t timeout_ns, const char *const *arguments, char **output, int *status)
{
    const struct command command = {.arguments = arguments, .timeout_ns = timeout_ns};

    return command_run(&runner, &command, output, status);
}

/* The script gets no argument. */
static int run(const char *script, char **output, int *status)
{
    return run_for(20 * NS_PER_S, (const char *const[]){"/bin/sh", "-c", script, NULL}, output, status);
}

static const struct {
    const char *script, *output;
    int status; /* of the exit; negative: a signal */
} rows[] = {
    {"echo one; echo two >&2; echo three", "one\ntwo\nthree\n", 0},
    {"printf %s \"$LC_ALL$REROUTE_TEST\"; exit 3", "Ckept", 3},
    {"cat", "", 0}, /* nothing comes in */
    {"echo half; kill -9 $$", "half\n", -SIGKILL},
    {"exec >&- 2>&-; sleep 0.1; exit 4", "", 4}, /* silence is no end */
    {"sleep 600 & echo done", "done\n", 0},      /* a child that keeps the pipe is not waited for */
    {"kill -TERM $$; echo alive", "", -SIGTERM}, /* no signal is ignored or held back */
    {"cat /proc/$$/status | grep -c 'SigIgn:.0000000000000000'", "1\n", 0},
};

Test(command, what_it_says_and_how_it_ends)
{
    signal(SIGPIPE, SIG_IGN);
    setenv("REROUTE_TEST", "kept", 1);
    setenv("LC_ALL", "de_DE.UTF-8", 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char *output;
        int status, ended;

        cr_assert_eq(run(rows[i].script, &output, &status), 0, "%s", rows[i].script);
        ended = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        cr_expect_str_eq(output, rows[i].output, "%s: %s", rows[i].script, output);
        cr_expect_eq(ended, rows[i].status, "%s: %d", rows[i].script, ended);
        free(output);
    }
}

Test(command, without_its_status_nothing_is_known)
{
    char *output;
    int status;

    signal(SIGCHLD, SIG_IGN);
    cr_expect_eq(run("echo all is well; exit 3", &output, &status), -ECHILD);
    cr_expect_null(output);
}

Test(command, arguments_are_no_shell_text)
{
    char *output;
    int status;

    cr_assert_eq(run_for(20 * NS_PER_S, (const char *const[]){"/bin/echo", "$(id)", ";", "a  b", NULL},
                         &output, &status),
                 0);
    cr_expect_str_eq(output, "$(id) ; a  b\n");
    free(output);
}

Test(command, what_it_is_given)
{
    char *output, longest[COMMAND_INPUT_BYTES + 2];
    struct command command = {
        .arguments =
            (const char *const[]){"/bin/sh", "-c", "cat; printf '%s %s %s' \"$A\" \"$B\" \"$AB\"", NULL},
        .timeout_ns = 20 * NS_PER_S,
        .input = "one\ntwo",
        .variables = (const char *const[]){"A=", "B=x y=$HOME", NULL},
    };
    int status;

    setenv("A", "ours", 1);
    setenv("AB", "another one", 1);
    cr_assert_eq(command_run(&runner, &command, &output, &status), 0);
    cr_expect_str_eq(output, "one\ntwo x y=$HOME another one");
    free(output);
    memset(longest, 'x', sizeof(longest));
    longest[COMMAND_INPUT_BYTES + 1] = '\0';
    command.input = longest;
    cr_expect_eq(command_run(&runner, &command, &output, &status), -E2BIG);
    command.input = longest + 1;
    cr_assert_eq(command_run(&runner, &command, &output, &status), 0);
    cr_expect_eq(strlen(output), COMMAND_INPUT_BYTES + strlen(" x y=$HOME another one"));
    free(output);
}

Test(command, what_is_given_need_not_be_read)
{
    const struct command command = {
        .arguments = (const char *const[]){"/bin/sh", "-c", "exec <&-; echo done", NULL},
        .timeout_ns = 20 * NS_PER_S,
        .input = "nobody wants it",
    };
    char *output;
    int status;

    cr_assert_eq(command_run(&runner, &command, &output, &status), 0);
    cr_expect_str_eq(output, "done\n");
    free(output);
}

Test(command, no_descriptor_of_ours_goes_along)
{
    int leaked = open("/dev/null", O_RDONLY), high = fcntl(leaked, F_DUPFD, 500);
    char *output;
    int status;

    cr_assert_geq(high, 500);
    cr_assert_eq(run("i=3; while [ $i -lt 600 ]; do [ -e /proc/$$/fd/$i ] && echo $i; i=$((i+1)); done",
                     &output, &status),
                 0);
    cr_expect_str_eq(output, "", "%s", output);
    free(output);
}

static size_t open_descriptors(void)
{
    size_t count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

Test(command, nothing_is_left_open)
{
    const struct command given = {
        .arguments = (const char *const[]){"/bin/true", NULL}, .timeout_ns = NS_PER_S, .input = "x"};
    size_t before = open_descriptors();
    char *output;
    int status;

    for (int i = 0; i < 5; i++) {
        cr_assert_eq(run("echo x", &output, &status), 0);
        free(output);
        run_for(1, (const char *const[]){"/bin/sleep", "600", NULL}, &output, &status);
        run_for(NS_PER_S, (const char *const[]){"/no/such/program", NULL}, &output, &status);
        command_run(&runner, &given, &output, &status);
        free(output);
    }
    spare_fds_release(&runner.spare);
    cr_expect_eq(open_descriptors(), before);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1); /* and no child */
}

Test(command, it_runs_when_all_descriptors_are_used_up)
{
    struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
    char *output;
    int status;

    spare_fds_keep(&runner.spare);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
        ;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(run("echo there", &output, &status), 0);
        cr_expect_str_eq(output, "there\n");
        free(output);
    }
    spare_fds_release(&runner.spare);
    while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
        ;
    cr_expect_eq(run("echo there", &output, &status), -EMFILE);
}

static const struct {
    const char *program;
    int error;
} not_started[] = {{"/no/such/program", -ENOENT}, {"/etc/passwd", -EACCES}, {"/", -EACCES}};

Test(command, what_cannot_be_started_says_why)
{
    for (size_t i = 0; i < ARRAY_SIZE(not_started); i++) {
        char *output;
        int status;

        cr_expect_eq(run_for(NS_PER_S, (const char *const[]){not_started[i].program, NULL}, &output, &status),
                     not_started[i].error, "%s", not_started[i].program);
        cr_expect_null(output);
    }
}

/* Does any process run `sleep SECONDS`? */
static bool runs(const char *seconds)
{
    char script[160];
    char *output;
    int status;
    bool found;

    snprintf(script, sizeof(script), "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -cx %s",
             seconds);
    cr_assert_eq(run(script, &output, &status), 0);
    found = strcmp(output, "1\n") > 0; /* the grep that looks for it is one */
    free(output);
    return found;
}

Test(command, its_time_is_over_for_its_children_too)
{
    static const char *const scripts[] = {"echo early; sleep 86311 & sleep 86311", "exec sleep 86311",
                                          "trap '' TERM INT HUP; while :; do sleep 86311; done",
                                          "exec >&- 2>&-; sleep 86311"};

    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        uint64_t begun_ns = clock_now_ns(CLOCK_MONOTONIC);
        char *output;
        int status;

        cr_expect_eq(run_for(300 * NS_PER_MS, (const char *const[]){"/bin/sh", "-c", scripts[i], NULL},
                             &output, &status),
                     -ETIMEDOUT, "%s", scripts[i]);
        cr_expect_null(output);
        cr_expect_geq(clock_now_ns(CLOCK_MONOTONIC) - begun_ns, 300 * NS_PER_MS);
        cr_expect_not(runs("86311"), "%s", scripts[i]);
    }
}

/* Two numbers that a script writes. */
static void read_numbers(const char *path, pid_t numbers[2])
{
    for (int i = 0; i < 10000; i++) {
        FILE *file = fopen(path, "re");
        int count = file ? fscanf(file, "%d %d\n", &numbers[0], &numbers[1]) : 0;

        if (file)
            fclose(file);
        if (count == 2)
            return;
        usleep(1000);
    }
    cr_assert_fail("nothing was written");
}

static _Noreturn void run_until_killed(struct command_groups *groups)
{
    char *output;
    int status;

    command_note_groups(groups);
    run("exit 0", &output, &status);
    run_for(600 * NS_PER_S,
            (const char *const[]){"/bin/sh", "-c", "sleep 600 & echo $$ $! >\"$NUMBERS\"; wait", NULL},
            &output, &status);
    _exit(0);
}

/* Who runs it is killed: so is the program, at once, and the rest of its group when that is asked for. */
Test(command, it_does_not_outlive_who_runs_it, .timeout = 30)
{
    struct command_groups *groups =
        mmap(NULL, sizeof(*groups), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static const struct command_groups none;
    char path[] = "/tmp/reroute-command-XXXXXX";
    pid_t numbers[2], parent;
    int status, fd = mkstemp(path);

    cr_assert_neq(groups, MAP_FAILED);
    cr_assert_geq(fd, 0);
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* who is left is ours */
    setenv("NUMBERS", path, 1);
    parent = fork();
    if (parent == 0)
        run_until_killed(groups);
    read_numbers(path, numbers);
    kill(parent, SIGKILL);
    cr_assert_eq(waitpid(parent, &status, 0), parent);
    cr_assert_eq(waitpid(numbers[0], &status, 0), numbers[0]);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_expect_eq(waitpid(numbers[1], &status, WNOHANG), 0, "its child is left");
    cr_expect_eq(groups->groups[0], numbers[0]);
    command_end_groups(groups);
    cr_assert_eq(waitpid(numbers[1], &status, 0), numbers[1]);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_expect_arr_eq(groups, &none, sizeof(none), "no group is noted that is over");
    close(fd);
    unlink(path);
}

Test(command, too_much_output_is_none)
{
    char *output;
    int status;

    cr_expect_eq(run("while :; do echo 0123456789012345678901234567890123456789; done", &output, &status),
                 -EMSGSIZE);
    cr_expect_null(output);
    cr_assert_eq(
        run("i=0; while [ $i -lt 2000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done",
            &output, &status),
        0);
    cr_expect_eq(strlen(output), 2000 * 41);
    free(output);
}

static atomic_bool give_up;

static void *give_it_up(void *context)
{
    atomic_store(&give_up, true);
    return NULL;
}

Test(command, another_thread_can_end_it)
{
    const struct command command = {.arguments = (const char *const[]){"/bin/sleep", "86312", NULL},
                                    .timeout_ns = 60 * NS_PER_S,
                                    .give_up = &give_up};
    pthread_t thread;
    char *output;
    int status;

    pthread_create(&thread, NULL, give_it_up, NULL);
    cr_expect_eq(command_run(&runner, &command, &output, &status), -ECANCELED);
    pthread_join(thread, NULL);
    cr_expect_not(runs("86312"));
}

Test(command, those_that_cannot_be_killed_are_not_many)
{
    char *output;
    int status;

    runner.left_count = COMMANDS_LEFT_MAX;
    for (size_t i = 0; i < COMMANDS_LEFT_MAX; i++) {
        runner.left[i] = fork();
        if (runner.left[i] == 0)
            for (;;)
                pause();
    }
    cr_expect_eq(run("echo", &output, &status), -EBUSY);
    kill(runner.left[3], SIGKILL);
    for (int i = 0; i < 5000 && run("echo", &output, &status) == -EBUSY; i++)
        usleep(1000);
    cr_expect_str_eq(output, "\n");
    cr_expect_eq(runner.left_count, COMMANDS_LEFT_MAX - 1);
    free(output);
    for (size_t i = 0; i < runner.left_count; i++)
        kill(runner.left[i], SIGKILL);
}
