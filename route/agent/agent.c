/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: the only place where probing, sessions and the route meet.
 *
 * One libevent loop, one timer. Whatever happens (an echo reply, a list, a link event, a person's
 * command, a deadline) leads to agent_step(): take in the observations, write the evidence down, let the
 * selector decide, carry the decision out, do what is due, set the timer for the next deadline. Callbacks of
 * the parts only note what they learnt and ask for a step.
 *
 *   agent.c      start, stop, events             step.c       the step
 *   reload.c     a new configuration             install.c    a new table of paths
 *   egress.c     how paths are entered           evidence.c   what the selector is told
 *   switch.c     carrying out decisions          route.c      the route, and what its guard tells
 *   happening.c  who is told of what happens     status.c     the status document
 *   command.c    a person's orders               recorder.c   the journal, for `reroute replay`
 *   saved.c      what outlives a restart         core.c       what all of these need
 *   tune.c       the pair that it finds by itself
 *   control.c    the control socket, the metrics; server.c: what their clients may cost
 *   observe.c    touching nothing, on request
 *   notice.c     what the program is told that is run at every change
 *   loop.c       an event loop that works on this host
 *
 * These know the agent as a whole (private.h). The parts that they wire together do not: table.h (accesses and
 * paths), lists.h, telling.h, orders.h, connections.h, tcp_watch.h, tuning.h, manager.h, disk.h, notifier.h, kept.h, state.h, lock.h. A part
 * owns its state and gets what else it may read as a struct situation. Around all of it, where there is no service
 * manager: supervise.h.
 *
 * Nothing here blocks but netlink's round trips. Threads of their own
 *
 *   write to the state directory           disk.h
 *   write the log into files               route/log_file.h
 *   read the file of the session list      session/file_reader.h
 *   look for observe-file                  presence.h
 *   run a program at every change          notifier.h
 *   set the route where a command does it  route/keeper/worker.h
 *
 * On exit the route stays.
 */
#include <signal.h>

#include "probe/text.h"
#include "route/agent/agent.h"
#include "route/agent/fib_settings.h"
#include "route/agent/happening.h"
#include "route/agent/loop.h"
#include "route/agent/private.h"

#define EVENTS_PER_STEP 256
#define RELOAD_APART_NS (500 * NS_PER_MS)
#define DRAIN_NS        (1 * NS_PER_S) /* at the end the disk is waited for no longer */
#define LAST_NOTICE_NS  (3 * NS_PER_S) /* nor the program that is told of the end */

/* --- events --- */

/* The kernel says so again every few seconds, for as long as the path is probed. */
static void note_neighbour(const struct agent *agent, const struct fib_event *event)
{
    uint32_t path = event->usable ? SELECTOR_NO_PATH : agent_table_find(&agent->host.table, &event->address);

    if (path != SELECTOR_NO_PATH)
        log_event(agent->host.table.paths[path].health.state == HEALTH_DOWN ? LOG_LEVEL_DEBUG
                                                                            : LOG_LEVEL_INFO,
                  "neighbour-failed", "path=%s", ADDRESS_TEXT(&event->address));
}

/* What another thread was asked for is done, or not. */
static void on_thread(evutil_socket_t fd, short what, void *context)
{
    agent_step(context);
}

static void on_fib(evutil_socket_t fd, short what, void *context)
{
    struct agent *agent = context;
    struct fib_event event;
    bool noted = false;

    for (int i = 0; i < EVENTS_PER_STEP && fib_next_event(agent->fib, &event); i++) {
        if (event.kind == FIB_EVENT_NEIGHBOUR)
            note_neighbour(agent, &event);
        else
            noted |= agent_route_note(agent, &event);
    }
    if (noted)
        agent_step(agent);
}

/* --- signals --- */

static void reload_when_due(struct agent *agent)
{
    uint64_t now_ns = probe_stream_now_ns(agent->host.stream);

    if (!agent->loop.reload_wanted || now_ns < agent->loop.reload_ns)
        return;
    agent->loop.reload_wanted = false;
    agent->loop.reload_ns = now_ns + RELOAD_APART_NS;
    manager_reload_begins(&agent->manager);
    agent_reload(agent);
    manager_reload_ended(&agent->manager);
}

static void on_hangup(evutil_socket_t signal, short what, void *context)
{
    struct agent *agent = context;

    agent->loop.reload_wanted = true;
    reload_when_due(agent);
    agent_step(agent);
}

static void on_terminate(evutil_socket_t signal, short what, void *context)
{
    struct agent *agent = context;

    agent_tell(agent,
               &(struct happening){.kind = HAPPENED_STOP, .target = signal == SIGINT ? "INT" : "TERM"});
    event_base_loopbreak(agent->loop.base);
}

static void on_due(evutil_socket_t fd, short what, void *context)
{
    reload_when_due(context);
    agent_step(context);
}

/* --- start --- */

/* What libevent has to say, past which it would write to standard error by itself. */
static void on_libevent(int severity, const char *message)
{
    log_event(severity == EVENT_LOG_ERR    ? LOG_LEVEL_ERROR
              : severity == EVENT_LOG_WARN ? LOG_LEVEL_WARN
                                           : LOG_LEVEL_DEBUG,
              "libevent", "message=%s", LOG_QUOTE(message));
}

static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    if (!config)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NO_CACHE_TIME);
    /* Between two clients' requests it is looked whether there is anything else to do. */
    event_config_set_max_dispatch_interval(config, NULL, 1, AGENT_PRIORITY_CLIENTS);
    base = loop_new(config);
    event_config_free(config);
    if (base)
        event_base_priority_init(base, AGENT_PRIORITIES);
    return base;
}

static int add_event(struct event *event)
{
    return event && event_add(event, NULL) == 0 ? 0 : -ENOMEM;
}

/* It hears SIGHUP from here on, so it is opened before the file is read. */
static int open_loop(struct agent *agent, char *message, size_t size_bytes)
{
    snprintf(message, size_bytes, "cannot make an event loop");
    agent->loop.base = base_new();
    event_set_log_callback(on_libevent);
    if (!agent->loop.base)
        return -ENOMEM;
    agent->loop.timer = evtimer_new(agent->loop.base, on_due, agent);
    agent->loop.hangup = evsignal_new(agent->loop.base, SIGHUP, on_hangup, agent);
    return agent->loop.timer ? add_event(agent->loop.hangup) : -ENOMEM;
}

/* Before, these end the process at once, whatever it waits for. */
static int watch_ends(struct agent *agent, char *message, size_t size_bytes)
{
    int error;

    snprintf(message, size_bytes, "out of memory");
    agent->loop.terminate = evsignal_new(agent->loop.base, SIGTERM, on_terminate, agent);
    agent->loop.interrupt = evsignal_new(agent->loop.base, SIGINT, on_terminate, agent);
    error = add_event(agent->loop.terminate);
    return error ? error : add_event(agent->loop.interrupt);
}

/* A FIB that is slow has no descriptor, and its guard has one. */
static int watch_fib(struct agent *agent)
{
    bool slow = fib_is_slow(agent->fib);
    struct event **event = slow ? &agent->loop.guard_event : &agent->loop.fib_event;

    *event = event_new(agent->loop.base, slow ? guard_fd(agent->service.guard) : fib_fd(agent->fib),
                       EV_READ | EV_PERSIST, slow ? on_thread : on_fib, agent);
    return add_event(*event);
}

static int open_fib(struct agent *agent, char *message, size_t size_bytes)
{
    struct fib_settings settings = agent_fib_settings(&agent->config->route);
    struct keeper_settings keeper = {.service = agent->config->service, .follow_only = !agent_acts(agent)};
    int error;

    settings.dry_run = agent->options->dry_run;
    settings.mtus = &agent->mtus;
    error = fib_open(&agent->fib, &settings, message, size_bytes);
    if (error < 0)
        return error;
    if (fib_address_is_local(agent->fib, &agent->config->service)) {
        snprintf(message, size_bytes,
                 "service %s is an address of this host: expected one that only the accesses have",
                 ADDRESS_TEXT(&agent->config->service));
        return -EADDRINUSE;
    }
    fib_watch(agent->fib, &agent->config->service);
    agent->route_fib = agent->fib;
    if (fib_is_slow(agent->fib))
        error = fib_open(&agent->route_fib, &settings, message, size_bytes);
    if (error < 0)
        return error;
    keeper.fib = agent->route_fib;
    error = guard_new(&agent->service.guard, &keeper);
    return error < 0 ? error : watch_fib(agent);
}

static int lock(struct agent *agent, char *message, size_t size_bytes)
{
    const struct config *config = agent->config;
    int file_error, name_error, error;
    pid_t holder = 0;

    if (agent->options->dry_run)
        return 0;
    error = lock_take(&agent->files.lock, config->state_directory, &config->service, config->route.table,
                      &holder, &file_error, &name_error);
    if (error < 0) {
        lock_refusal_text(holder, message, size_bytes);
        return error;
    }
    agent_open_log(agent);
    kept_note(&agent->files.kept, agent->config->state_directory, KEPT_LOCK, file_error);
    if (file_error < 0 && name_error < 0)
        log_event(LOG_LEVEL_ERROR, "not-locked", "error=%s hint=%s", LOG_QUOTE(strerror(-name_error)),
                  LOG_QUOTE("nothing keeps a second agent out: see to the state directory"));
    return 0;
}

static int open_disk(struct agent *agent, char *message, size_t size_bytes)
{
    int error;

    if (agent->options->dry_run)
        return 0;
    snprintf(message, size_bytes, "out of memory");
    error = disk_open(&agent->files.disk, agent->config->state_directory);
    if (error < 0)
        return error;
    disk_note(agent->files.disk, KEPT_LOCK, agent->files.kept.error[KEPT_LOCK]);
    agent->loop.disk_event =
        event_new(agent->loop.base, disk_fd(agent->files.disk), EV_READ | EV_PERSIST, on_thread, agent);
    return add_event(agent->loop.disk_event);
}

static int open_observe(struct agent *agent, char *message, size_t size_bytes)
{
    struct presence *presence;
    int error = agent_observe_open(agent, agent->config, &presence);

    snprintf(message, size_bytes, "out of memory");
    agent->now_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (!error)
        error = agent_observe_install(agent, presence);
    agent->observing.told = agent->observing.state; /* the guard begins with it */
    return error;
}

static int open_notifier(struct agent *agent, char *message, size_t size_bytes)
{
    int error;

    if (agent->options->dry_run)
        return 0;
    snprintf(message, size_bytes, "out of memory");
    error = notifier_open(&agent->news.notifier);
    if (error < 0)
        return error;
    agent->loop.notifier_event = event_new(agent->loop.base, notifier_fd(agent->news.notifier),
                                           EV_READ | EV_PERSIST, on_thread, agent);
    return add_event(agent->loop.notifier_event);
}

static int start(struct agent *agent, char *message, size_t size_bytes)
{
    const struct waker waker = {.wake = agent_wake, .context = agent};
    struct agent_table table;
    int error = open_loop(agent, message, size_bytes);

    if (error)
        return error;
    if (config_load(&agent->config, agent->options->config_path, message, size_bytes))
        return -EINVAL;
    error = lock(agent, message, size_bytes);
    if (!error)
        error = watch_ends(agent, message, size_bytes);
    if (!error)
        error = open_disk(agent, message, size_bytes);
    if (!error)
        error = open_observe(agent, message, size_bytes);
    if (!error)
        error = open_notifier(agent, message, size_bytes);
    if (!error)
        error = open_fib(agent, message, size_bytes);
    if (!error) {
        agent_tune_load(agent);
        error = agent_stream_open(agent->config, &agent->host.stream, message, size_bytes);
    }
    if (!error) {
        error =
            config_session_provider(&agent->provider, agent->loop.base, agent->config, message, size_bytes);
        if (error && error != -ENOMEM && error != -ENOSYS)
            return -EINVAL; /* a file that it names */
    }
    if (!error && !agent->options->dry_run)
        error = control_open(&agent->control, agent, agent->config->control_socket,
                             agent->config->metrics_listen, message, size_bytes);
    if (error)
        return error;

    snprintf(message, size_bytes, "out of memory");
    agent->host.health_settings = agent_health_settings(agent->config);
    agent->now_ns = agent->started_ns = probe_stream_now_ns(agent->host.stream);
    error = agent_journal_open(agent);
    if (error)
        return error;
    manager_start(&agent->manager, agent->started_ns);
    host_identity_read(&agent->host.identity);
    agent->telling.waker = waker;
    error = lists_open(&agent->lists, agent->config, &waker);
    if (!error)
        error = agent_build_table(agent, agent->config, &table);
    if (!error)
        error = agent_watch_stream(agent);
    if (error)
        return error;
    agent_table_install(agent, &table);
    agent_load(agent);
    agent_observe_step(agent);
    agent_route_step(agent);
    agent_egress_step(agent);
    agent_route_warn(agent);
    agent_warn_config(agent);
    return 0;
}

/* Who has been told to end, and does, is not to be ended in the middle of it by being told again. */
static void heed_no_more(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static void finish(struct agent *agent)
{
    struct event *events[] = {agent->loop.timer,       agent->loop.stream_event, agent->loop.fib_event,
                              agent->loop.guard_event, agent->loop.disk_event,   agent->loop.notifier_event,
                              agent->loop.terminate,   agent->loop.interrupt,    agent->loop.hangup};

    agent_observe_close(agent);
    control_close(agent->control);
    journal_free(agent->files.journal);
    session_provider_free(agent->provider);
    agent_table_clear(&agent->host.table, agent->host.stream);
    probe_stream_free(agent->host.stream);
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        if (events[i])
            event_free(events[i]);
    tcp_watch_close(&agent->service.watch);
    guard_free(agent->service.guard);
    if (agent->route_fib != agent->fib)
        fib_close(agent->route_fib);
    fib_close(agent->fib);
    lists_close(&agent->lists);
    if (agent->loop.base)
        event_base_free(agent->loop.base);
    disk_close(agent->files.disk);
    notifier_close(agent->news.notifier, LAST_NOTICE_NS);
    config_free(agent->config);
    orders_clear(&agent->orders);
    tuning_clear(&agent->tuning);
    free(agent->files.deaths);
    lock_release(&agent->files.lock);
    spare_fds_release(&agent->files.spare);
    libevent_global_shutdown();
}

int agent_run(const struct agent_options *options)
{
    struct agent agent = {.options = options,
                          .mtus = FIB_MTUS_EMPTY,
                          .service = {.current = SELECTOR_NO_PATH},
                          .observing = {.state = OBSERVING_START},
                          .files = {.lock = {.name_fd = -1, .file_fd = -1}, .spare = SPARE_FDS_NONE}};
    char message[512] = "out of memory";
    int error;

    signal(SIGPIPE, SIG_IGN);
    log_open(STDERR_FILENO, getenv("JOURNAL_STREAM"));
    spare_fds_raise_limit();
    spare_fds_keep(&agent.files.spare);
    error = start(&agent, message, sizeof(message));
    if (error == -EWOULDBLOCK && options->may_run_elsewhere) {
        log_event(LOG_LEVEL_DEBUG, "runs-elsewhere", "message=%s", LOG_QUOTE(message));
    } else if (error) {
        if (log_is_in_file())
            log_event(LOG_LEVEL_ERROR, "not-started", "error=%s", LOG_QUOTE(message));
        text_error("%sreroute agent: %s", log_priority(LOG_LEVEL_ERROR), message);
    } else {
        agent_tell(&agent, &(struct happening){.kind = HAPPENED_START});
        agent_soon(&agent);
        if (event_base_dispatch(agent.loop.base) < 0) {
            log_event(LOG_LEVEL_ERROR, "loop-failed", "error=%s", LOG_QUOTE(strerror(errno)));
            error = -EIO;
        }
        heed_no_more();
        manager_stop();
        agent_route_end(&agent);
        agent_notice_step(&agent);
        agent_save(&agent);
        agent_tune_save(&agent);
        journal_stop(agent.files.journal, probe_stream_now_ns(agent.host.stream));
        if (agent.files.disk)
            disk_drain(agent.files.disk, DRAIN_NS);
        agent_note_kept(&agent, NEVER_NS);
    }
    finish(&agent);
    log_close();
    return error;
}
