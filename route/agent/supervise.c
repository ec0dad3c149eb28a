/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of supervision.h. One thread; no call that not every host has. The agent runs in a fork of this
 * program: to start it again nothing is read from a disk.
 *
 * It says that it lives through one end of a socket pair, by what it would send to a service manager (sd_notify.h).
 * So nobody else can speak for it, and no name for the socket is needed.
 *
 * The locks are those of fcntl(2): a child does not have its parent's, and the kernel tells who holds them. They are on
 * one file: a byte for the supervisor, one for its agent. So an agent is known whose supervisor was killed.
 *
 * An agent that is killed cannot end the programs that it runs. It notes their groups in memory that it shares with its
 * supervisor, who ends them.
 */
#include "route/agent/supervise.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "probe/text.h"
#include "probe/wakeup.h"
#include "route/agent/agent.h"
#include "route/agent/sd_notify.h"
#include "route/agent/supervision.h"
#include "route/fib/command.h"
#include "route/log.h"
#include "route/own_file.h"

struct supervisor {
    const struct agent_options *options;
    struct supervision supervision;
    struct wakeup wakeup;          /* rung by signals */
    int lock_fd;                   /* or a negative errno: not had */
    int voice_fds[2];              /* what the agent says: our end, its end; -1: no way to speak */
    pid_t agent;                   /* 0: none runs */
    struct command_groups *groups; /* that the agent runs; NULL: there is no way to share them */
};

/* --- signals --- */

static volatile sig_atomic_t stop_wanted, reload_wanted;
static int ring_fd = -1;

static void on_signal(int number)
{
    if (number == SIGHUP)
        reload_wanted = 1;
    else if (number != SIGCHLD)
        stop_wanted = 1;
    wakeup_ring(ring_fd);
}

static const int heeded[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT};

static void heed_signals(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

    for (size_t i = 0; i < ARRAY_SIZE(heeded); i++)
        sigaction(heeded[i], &action, NULL);
}

static void block_signals(sigset_t *before)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(heeded); i++)
        sigaddset(&set, heeded[i]);
    sigprocmask(SIG_BLOCK, &set, before);
}

/* --- the lock --- */

static void lock_name(const char *config_path, char name[static 64])
{
    static const uint64_t key[2]; /* not a secret: only a short name */
    CLEANUP(free) char *full = realpath(config_path, NULL);
    const char *path = full ? full : config_path;

    snprintf(name, 64, "supervise-%016" PRIx64, siphash24(path, strlen(path), key));
}

enum { BYTE_OF_SUPERVISOR, BYTE_OF_AGENT };

static struct flock lock_of(int byte)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

/* The other process that has it; 0: none, or that is not known. */
static pid_t lock_holder(int fd, int byte)
{
    struct flock lock = lock_of(byte);

    return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0 ? lock.l_pid : 0;
}

/* The lock file's descriptor; -EWOULDBLOCK: another supervisor has it; or a negative errno for own_error_text(). */
static int take_lock(const char *config_path)
{
    struct flock lock = lock_of(BYTE_OF_SUPERVISOR);
    char name[64];
    int fd, error;

    lock_name(config_path, name);
    mkdir("/run", 0755);
    mkdir(SUPERVISE_DIRECTORY, 0755); /* others must reach the control socket in it */
    fd = own_file_open(SUPERVISE_DIRECTORY, name, O_RDWR | O_CREAT);
    if (fd < 0)
        return fd;
    if (fcntl(fd, F_SETLK, &lock) == 0)
        return fd;
    error = errno == EACCES || errno == EAGAIN ? -EWOULDBLOCK : -errno;
    close(fd);
    return error;
}

pid_t supervise_pid(const char *config_path, bool *is_supervised)
{
    char name[64];
    pid_t holder;
    int fd;

    lock_name(config_path, name);
    fd = own_file_open(SUPERVISE_DIRECTORY, name, O_RDONLY);
    holder = fd < 0 ? 0 : lock_holder(fd, BYTE_OF_SUPERVISOR);
    *is_supervised = holder != 0;
    if (fd >= 0 && !holder)
        holder = lock_holder(fd, BYTE_OF_AGENT);
    close_fd(fd);
    return holder;
}

/* --- the agent --- */

/* It ends with its supervisor: else the next one could not start an agent of its own. Not every host can do that. */
static void end_with(pid_t supervisor)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != supervisor)
        _exit(0);
}

/* The child's side. Its exit code is the errno with which the agent could not run. */
static _Noreturn void become_agent(const struct supervisor *supervisor, pid_t parent, const sigset_t *mask)
{
    struct agent_options options = *supervisor->options;
    struct flock lock = lock_of(BYTE_OF_AGENT);
    char period[24];

    options.restarts = supervisor->supervision.restarts;
    options.may_run_elsewhere = options.restarts == 0;
    heed_signals(SIG_DFL);
    signal(SIGHUP, SIG_IGN); /* until the agent listens to it: it has yet to read its file */
    sigprocmask(SIG_SETMASK, mask, NULL);
    end_with(parent);
    fcntl(supervisor->lock_fd, F_SETLK, &lock); /* for as long as the process lives */
    command_note_groups(supervisor->groups);
    close_fd(supervisor->voice_fds[0]);
    if (supervisor->voice_fds[1] >= 0) {
        snprintf(period, sizeof(period), "%" PRIu64, SUPERVISION_WATCHDOG_NS / NS_PER_US);
        setenv("WATCHDOG_USEC", period, 1);
        unsetenv("WATCHDOG_PID");
        notify_through(supervisor->voice_fds[1]);
    }
    _exit(-agent_run(&options));
}

/* 0 or a negative errno. */
static int start_agent(struct supervisor *supervisor)
{
    pid_t parent = getpid(), pid;
    sigset_t before;
    int error;

    block_signals(&before);
    pid = fork();
    if (pid == 0)
        become_agent(supervisor, parent, &before);
    error = pid < 0 ? -errno : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (!error)
        supervisor->agent = pid;
    return error;
}

static const char *end_text(int status, char *text, size_t size_bytes)
{
    if (WIFSIGNALED(status))
        snprintf(text, size_bytes, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, size_bytes, "it gave up: %s", strerror(WEXITSTATUS(status)));
    return text;
}

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return (double)sub_sat_u64(to_ns, from_ns) / NS_PER_S;
}

/* --- what is done --- */

/* Of a supervisor that was killed: the agent cannot end with it on every host, and not at once on any. */
static void end_left(struct supervisor *supervisor, pid_t left, uint64_t now_ns)
{
    switch (supervision_blocked(&supervisor->supervision, now_ns)) {
    case SUPERVISION_END:
        log_event(LOG_LEVEL_WARN, "agent-left", "pid=%d hint=%s", (int)left,
                  LOG_QUOTE("its supervisor was killed; it is ended before another one starts"));
        kill(left, SIGTERM);
        break;
    case SUPERVISION_KILL:
        log_event(LOG_LEVEL_ERROR, "agent-left", "pid=%d waited_s=%.0f hint=%s", (int)left,
                  seconds(supervisor->supervision.left_ns, now_ns),
                  LOG_QUOTE("told to end, it has not; it is killed"));
        kill(left, SIGKILL);
        break;
    default:
        break;
    }
}

static void start(struct supervisor *supervisor, uint64_t now_ns)
{
    struct supervision *supervision = &supervisor->supervision;
    pid_t left = lock_holder(supervisor->lock_fd, BYTE_OF_AGENT);
    int error;

    if (left) {
        end_left(supervisor, left, now_ns);
        return;
    }
    error = start_agent(supervisor);
    if (!error) {
        supervision_started(supervision, now_ns);
        return;
    }
    supervision_ended(supervision, false, now_ns);
    log_event(LOG_LEVEL_ERROR, "agent-not-started", "error=%s restarts=%" PRIu64 " again_s=%.0f",
              LOG_QUOTE(strerror(-error)), supervision->restarts, seconds(now_ns, supervision->due_ns));
}

static void kill_agent(struct supervisor *supervisor, uint64_t now_ns)
{
    const struct supervision *supervision = &supervisor->supervision;
    uint64_t since_ns = supervision->heard_ns == NEVER_NS ? supervision->started_ns : supervision->heard_ns;

    log_event(LOG_LEVEL_ERROR, "agent-hangs", "pid=%d silent_s=%.0f", (int)supervisor->agent,
              seconds(since_ns, now_ns));
    kill(supervisor->agent, SIGKILL);
}

/* At the very start: somebody else's agent has the service, and that is well. */
static bool runs_elsewhere(const struct supervision *supervision, int status)
{
    return supervision->restarts == 0 && WIFEXITED(status) && WEXITSTATUS(status) == EWOULDBLOCK;
}

/* True: the supervisor ends. */
static bool reap(struct supervisor *supervisor, uint64_t now_ns)
{
    struct supervision *supervision = &supervisor->supervision;
    bool well;
    char how[96];
    int status;

    if (!supervisor->agent || waitpid(supervisor->agent, &status, WNOHANG) != supervisor->agent)
        return false;
    supervisor->agent = 0;
    if (supervisor->groups)
        command_end_groups(supervisor->groups);
    well = (WIFEXITED(status) && WEXITSTATUS(status) == 0) || runs_elsewhere(supervision, status);
    if (supervision_ended(supervision, well, now_ns))
        return true;
    log_event(LOG_LEVEL_WARN, "agent-ended", "how=%s ran_s=%.1f restarts=%" PRIu64 " again_s=%.0f",
              LOG_QUOTE(end_text(status, how, sizeof(how))), seconds(supervision->started_ns, now_ns),
              supervision->restarts, seconds(now_ns, supervision->due_ns));
    return false;
}

static void hear(struct supervisor *supervisor, uint64_t now_ns)
{
    static const char ends[] = "STOPPING=1";
    char text[512];
    ssize_t n;

    while (supervisor->voice_fds[0] >= 0 &&
           (n = recv(supervisor->voice_fds[0], text, sizeof(text), MSG_DONTWAIT)) >= 0) {
        supervision_heard(&supervisor->supervision, now_ns);
        if (n == sizeof(ends) - 1 && memcmp(text, ends, (size_t)n) == 0)
            supervision_ends(&supervisor->supervision, now_ns);
    }
}

/* An agent is told to end once: what it then brings to an end takes time. True: the supervisor ends. */
static bool pass_on(struct supervisor *supervisor, uint64_t now_ns)
{
    if (reload_wanted) {
        reload_wanted = 0;
        if (supervisor->agent)
            kill(supervisor->agent, SIGHUP);
    }
    if (!stop_wanted || supervisor->supervision.stopping)
        return false;
    if (supervision_stop(&supervisor->supervision, now_ns))
        return true;
    kill(supervisor->agent, SIGTERM);
    return false;
}

static void wait_for_news(const struct supervisor *supervisor)
{
    uint64_t left_ns = sub_sat_u64(supervisor->supervision.due_ns, clock_now_ns(CLOCK_MONOTONIC));
    struct pollfd fds[] = {{.fd = supervisor->wakeup.fd, .events = POLLIN},
                           {.fd = supervisor->voice_fds[0], .events = POLLIN}};

    poll(fds, ARRAY_SIZE(fds), (int)min_u64(left_ns / NS_PER_MS + (left_ns > 0), INT32_MAX));
    wakeup_empty(supervisor->wakeup.fd);
}

/* Hears before it judges. True: the supervisor ends. */
static bool look(struct supervisor *supervisor)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);

    hear(supervisor, now_ns);
    if (reap(supervisor, now_ns) || pass_on(supervisor, now_ns))
        return true;
    switch (supervision_due(&supervisor->supervision, now_ns)) {
    case SUPERVISION_START:
        start(supervisor, now_ns);
        break;
    case SUPERVISION_KILL:
        kill_agent(supervisor, now_ns);
        break;
    case SUPERVISION_END:
    case SUPERVISION_WAIT:
        break;
    }
    return false;
}

/* --- start and end --- */

static int open_supervisor(struct supervisor *supervisor)
{
    char message[128];
    int error = wakeup_open(&supervisor->wakeup, message, sizeof(message));

    if (error < 0) {
        text_error("reroute agent: %s", message);
        return error;
    }
    if (supervisor->lock_fd < 0)
        log_event(LOG_LEVEL_WARN, "not-alone", "error=%s hint=%s",
                  LOG_QUOTE(own_error_text(supervisor->lock_fd)),
                  LOG_QUOTE("nothing keeps a second supervisor out of " SUPERVISE_DIRECTORY));
    supervisor->groups =
        mmap(NULL, sizeof(*supervisor->groups), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (supervisor->groups == MAP_FAILED)
        supervisor->groups = NULL;
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, supervisor->voice_fds) < 0)
        supervisor->voice_fds[0] = supervisor->voice_fds[1] = -1;
    ring_fd = supervisor->wakeup.ring_fd;
    heed_signals(on_signal);
    return 0;
}

static void close_supervisor(struct supervisor *supervisor)
{
    heed_signals(SIG_DFL);
    close_fd(supervisor->voice_fds[0]);
    close_fd(supervisor->voice_fds[1]);
    wakeup_close(&supervisor->wakeup);
    if (supervisor->groups)
        munmap(supervisor->groups, sizeof(*supervisor->groups));
    close_fd(supervisor->lock_fd);
    log_close();
}

int supervise_run(const struct agent_options *options)
{
    struct supervisor supervisor = {.options = options, .lock_fd = take_lock(options->config_path)};
    int error;

    if (supervisor.lock_fd == -EWOULDBLOCK)
        return 0;
    signal(SIGPIPE, SIG_IGN); /* the log may have no reader any more */
    log_open(STDERR_FILENO, getenv("JOURNAL_STREAM"));
    error = open_supervisor(&supervisor);
    if (error < 0)
        return error;
    supervision_begin(&supervisor.supervision, supervisor.voice_fds[0] >= 0, clock_now_ns(CLOCK_MONOTONIC));
    while (!look(&supervisor))
        wait_for_news(&supervisor);
    close_supervisor(&supervisor);
    return 0;
}
