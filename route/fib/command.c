/* SPDX-License-Identifier: Apache-2.0 */
#include "route/fib/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LOOK_MS      20 /* how often it is looked whether the program has ended, or is to be given up */
#define KILL_MS      1000
#define FD_GUESS_MAX 1024 /* where the kernel cannot close all others at once (before 5.9) */

extern char **environ;

/* A program that runs. */
struct child {
    pid_t pid;
    int output_fd; /* -1: it has closed its end */
    int start_fd;  /* an errno comes out of it when it could not be started */
    char *text;
    size_t length, room;
    bool reaped; /* its number may be another's by now */
    bool lost;   /* and nobody knows how it ended: SIGCHLD is ignored */
    int status;
};

/* --- the child's side: after fork() in a program with threads only async-signal-safe calls --- */

static void close_from(int first)
{
    if (syscall(SYS_close_range, first, ~0U, 0) == 0)
        return;
    for (int fd = first; fd < FD_GUESS_MAX; fd++)
        close(fd);
}

static void signals_default(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* An empty root directory has no /dev/null: there the reading end of an empty pipe does. */
static bool take_input(int input_fd)
{
    int ends[2];

    if (input_fd >= 0)
        return dup2(input_fd, 0) == 0;
    close(0);
    if (open("/dev/null", O_RDONLY) == 0)
        return true;
    if (pipe(ends) < 0)
        return false;
    close(ends[1]);
    return ends[0] == 0;
}

static void end_with(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
}

static _Noreturn void become(pid_t parent, const char *const *arguments, const char **environment,
                             int input_fd, int output_fd, int start_fd)
{
    int error;

    setpgid(0, 0);
    end_with(parent);
    signals_default();
    if (take_input(input_fd) && dup2(output_fd, 1) >= 0 && dup2(output_fd, 2) >= 0 &&
        dup2(start_fd, 3) >= 0 && fcntl(3, F_SETFD, FD_CLOEXEC) == 0) {
        close_from(4);
        start_fd = 3;
        execve(arguments[0], (char *const *)(uintptr_t)arguments, (char *const *)(uintptr_t)environment);
    }
    error = errno;
    if (write(start_fd, &error, sizeof(error)) < 0) {
        /* Then it looks as if it had run and said nothing. */
    }
    _exit(127);
}

/* --- the groups that run --- */

static struct command_groups *noted;

void command_note_groups(struct command_groups *groups)
{
    noted = groups;
}

/* Replaces the first one of this number; there may be none. */
static void replace_group(pid_t from, pid_t to)
{
    for (size_t i = 0; noted && i < ARRAY_SIZE(noted->groups); i++) {
        pid_t expected = from;

        if (atomic_compare_exchange_strong(&noted->groups[i], &expected, to))
            return;
    }
}

void command_end_groups(struct command_groups *groups)
{
    for (size_t i = 0; i < ARRAY_SIZE(groups->groups); i++) {
        pid_t group = atomic_exchange(&groups->groups[i], 0);

        if (group > 0)
            kill(-group, SIGKILL);
    }
}

/* --- ours --- */

static size_t count_texts(const char *const *texts)
{
    size_t count = 0;

    while (texts && texts[count])
        count++;
    return count;
}

/* Has one of these variables the name of `variable`? */
static bool is_given(const char *const *variables, const char *variable)
{
    size_t length = strcspn(variable, "=");

    for (; variables && *variables; variables++)
        if (strncmp(*variables, variable, length) == 0 && (*variables)[length] == '=')
            return true;
    return false;
}

/* Ours, but for the language and the given variables. Its texts are not copied; NULL without memory. */
static const char **make_environment(const char *const *variables)
{
    static const char *const plain[] = {"LC_ALL=C", NULL};
    const char *const *ours = (const char *const *)environ;
    size_t count = count_texts(ours), n = 0;
    const char **made = calloc(count + count_texts(variables) + 2, sizeof(*made));

    if (!made)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (!is_given(plain, ours[i]) && !is_given(variables, ours[i]))
            made[n++] = ours[i];
    for (; variables && *variables; variables++)
        made[n++] = *variables;
    made[n] = plain[0];
    return made;
}

/* A pipe whose ends are none of the three that the child gets, nor the fourth. */
static int open_pipe(int fds[2])
{
    if (pipe2(fds, O_CLOEXEC) < 0 && (errno != ENOSYS || pipe(fds) < 0))
        return -errno;
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        int moved = fds[i] > 3 ? fds[i] : fcntl(fds[i], F_DUPFD_CLOEXEC, 4);

        if (moved != fds[i])
            close(fds[i]);
        fds[i] = moved;
    }
    if (fds[0] >= 0 && fds[1] >= 0)
        return 0;
    fds[0] = close_fd(fds[0]); /* the caller closes them again */
    fds[1] = close_fd(fds[1]);
    return -EMFILE;
}

/* The reading end of a pipe in which all of the input waits, in *fd; -1 when there is none. */
static int open_input(const char *input, int *fd)
{
    size_t length = input ? strlen(input) : 0;
    int fds[2], error;

    *fd = -1;
    if (!input)
        return 0;
    if (length > COMMAND_INPUT_BYTES)
        return -E2BIG;
    error = open_pipe(fds);
    if (error)
        return error;
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    error = write(fds[1], input, length) == (ssize_t)length ? 0 : -EIO;
    close_fd(fds[1]);
    *fd = error ? close_fd(fds[0]) : fds[0];
    return error;
}

static int fork_child(struct child *child, const struct command *command, const char **environment, int input,
                      const int output[2], const int start[2])
{
    pid_t parent = getpid();

    child->pid = fork();
    if (child->pid < 0)
        return -errno;
    if (child->pid == 0)
        become(parent, command->arguments, environment, input, output[1], start[1]);
    setpgid(child->pid, child->pid); /* the child does it too: whoever comes first */
    replace_group(0, child->pid);
    child->output_fd = output[0];
    child->start_fd = start[0];
    fcntl(child->output_fd, F_SETFL, O_NONBLOCK);
    return 0;
}

static int start_child(struct child *child, const struct command *command)
{
    const char **environment = make_environment(command->variables);
    int output[2] = {-1, -1}, start[2] = {-1, -1}, input = -1;
    int error = environment ? open_input(command->input, &input) : -ENOMEM;

    if (!error)
        error = open_pipe(output);
    if (!error)
        error = open_pipe(start);
    if (!error)
        error = fork_child(child, command, environment, input, output, start);
    close_fd(input);
    close_fd(output[1]);
    close_fd(start[1]);
    if (error) {
        close_fd(output[0]);
        close_fd(start[0]);
    }
    free(environment);
    return error;
}

/* It stays a zombie where the system can do that, so that its number is not given to another one. */
static bool has_ended(struct child *child)
{
    siginfo_t info = {0};
    pid_t reaped;

    if (child->reaped)
        return true;
    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
        return info.si_pid == child->pid;
    reaped = waitpid(child->pid, &child->status, WNOHANG);
    child->reaped = reaped != 0;
    child->lost = reaped < 0;
    return child->reaped;
}

/* The errno with which it could not be started; 0: it was. To be asked after it has ended. */
static int start_error(const struct child *child)
{
    int error = 0;

    return read(child->start_fd, &error, sizeof(error)) == sizeof(error) ? -error : 0;
}

/* Reads what has come. 0, -EMSGSIZE or -ENOMEM. */
static int read_output(struct child *child)
{
    for (;;) {
        ssize_t n;

        if (child->length + 1 >= child->room) {
            size_t room = child->room ? child->room * 2 : 4096;
            char *more = child->length < COMMAND_OUTPUT_BYTES ? realloc(child->text, room) : NULL;

            if (!more)
                return child->length < COMMAND_OUTPUT_BYTES ? -ENOMEM : -EMSGSIZE;
            child->text = more;
            child->room = room;
        }
        n = read(child->output_fd, child->text + child->length, child->room - child->length - 1);
        if (n > 0) {
            child->length += (size_t)n;
            continue;
        }
        if (n == 0)
            child->output_fd = close_fd(child->output_fd);
        child->text[child->length] = '\0';
        return 0;
    }
}

/* Waits until it has ended, and reads. What its own children still write then is not waited for. */
static int wait_for(struct child *child, const struct command *command)
{
    uint64_t end_ns = add_sat_u64(clock_now_ns(CLOCK_MONOTONIC), command->timeout_ns);
    int wait_ms = 1; /* without output there is nothing that wakes us */

    for (;;) {
        struct pollfd output = {.fd = child->output_fd, .events = POLLIN};
        uint64_t left_ns = sub_sat_u64(end_ns, clock_now_ns(CLOCK_MONOTONIC));
        bool ended = has_ended(child);
        int error = child->output_fd >= 0 ? read_output(child) : 0;

        if (error || ended)
            return error;
        if (command->give_up && atomic_load(command->give_up))
            return -ECANCELED;
        if (left_ns == 0)
            return -ETIMEDOUT;
        if (child->output_fd < 0)
            wait_ms = wait_ms < LOOK_MS / 2 ? 2 * wait_ms : LOOK_MS;
        poll(&output, 1, (int)min_u64(child->output_fd < 0 ? wait_ms : LOOK_MS, left_ns / NS_PER_MS + 1));
    }
}

/* --- the end --- */

static void reap_left(struct command_runner *runner)
{
    size_t kept = 0;

    for (size_t i = 0; i < runner->left_count; i++)
        if (waitpid(runner->left[i], NULL, WNOHANG) == 0)
            runner->left[kept++] = runner->left[i];
    runner->left_count = kept;
}

/* Kills the group and reaps its first process, or remembers it. */
static void end_child(struct command_runner *runner, struct child *child, int *status)
{
    kill(-child->pid, SIGKILL);
    replace_group(child->pid, 0); /* before its number can be another's */
    for (int ms = 0; ms < KILL_MS && !has_ended(child); ms++)
        poll(NULL, 0, 1);
    if (!child->reaped && waitpid(child->pid, &child->status, WNOHANG) == 0)
        runner->left[runner->left_count++] = child->pid;
    *status = child->status;
    close_fd(child->output_fd);
    close_fd(child->start_fd);
}

static int finish(struct command_runner *runner, struct child *child, const struct command *command,
                  int *status)
{
    int error = wait_for(child, command);

    if (!error)
        error = start_error(child);
    end_child(runner, child, status);
    return error ? error : child->lost ? -ECHILD : 0;
}

int command_run(struct command_runner *runner, const struct command *command, char **output, int *status)
{
    struct child child = {0};
    int error;

    *output = NULL;
    *status = 0;
    reap_left(runner);
    if (runner->left_count == COMMANDS_LEFT_MAX)
        return -EBUSY;
    spare_fds_release(&runner->spare);
    error = start_child(&child, command);
    if (!error)
        error = finish(runner, &child, command, status);
    spare_fds_keep(&runner->spare);
    if (error)
        free(child.text);
    else
        *output = child.text;
    return error;
}
