/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question at a time, in the owner's loop. Whatever happens leads to step(): it looks at the socket, lets time
 * pass, asks when it is time, and sets the timer to what comes next.
 *
 * - A connection over which nothing is asked (tcp), or which ends with its answer (http), is reset at once (SO_LINGER
 *   of zero): closed politely, ten a second would keep six hundred sockets in TIME_WAIT.
 * - That of nfs3 and of iscsi is kept for the next question. So its end is news: a server that dies is known at once. But
 *   not that of one that ends it after a single answer, as it may do each time.
 * - An iSCSI target may note each login in its log, and one that refuses them, or ends each session soon, would be logged
 *   in to for each question. So there are LOGINS in LOGIN_SPAN_NS at most; LOGINS_WITH_NEWS where a session has ended
 *   that had answered a question, or a refusal is to be confirmed of a connection that gave no answer. A login does not
 *   count when its session answers a question LASTED_NS later or more. That of a session which hangs before does: a
 *   target that hangs after one question would be logged in to, and GOOD again, as soon as it is BAD.
 * - A login is an answer, for with some targets no session lasts for longer. But a target can hang and answer logins.
 *   So when a question after a login has had no answer, no login is one until a question is answered, or the target
 *   ends a session that has answered only its login. Until then the question follows at once.
 * - While no login is allowed a connection is made and closed, CONNECTION_SPAN_NS after the one before: when it is
 *   refused nobody is there. That it is accepted says nothing.
 * - A connection that does not come about is begun anew after CONNECT_NS: a lost SYN is sent again by the kernel after a
 *   second only (RFC 6298 section 2).
 * - A round for which this host lacked the means (no descriptor, no memory, no port) is no evidence: silence begins
 *   anew with the next one.
 * - When this process itself was not running, the socket is looked at before silence is judged, and the time in which
 *   nobody looked is no silence.
 */
#include "session/service_check.h"

#include "probe/interface.h"
#include "probe/unguessable.h"

#include <event2/event.h>
#include <netinet/tcp.h>
#include <poll.h>

#define CONNECT_NS (300 * NS_PER_MS)
/* Who comes later than by this part of the window was not running. */
#define STALL_PART         4
#define LOGIN_SPAN_NS      (10 * NS_PER_S)
#define LASTED_NS          NS_PER_S
#define CONNECTION_SPAN_NS NS_PER_S
enum { LOGINS = 2, LOGINS_WITH_NEWS = 6 };

struct service_check {
    struct service_check_settings settings;
    struct event_base *base;
    struct event *timer;
    struct event *io; /* NULL: no connection */
    int fd;
    enum { IDLE, CONNECTING, ASKED, KEPT } phase;
    uint64_t began_ns;                    /* of the phase */
    uint64_t asked_ns;                    /* when the last round began */
    uint64_t next_ns;                     /* when the next one does */
    uint64_t looked_ns;                   /* when step() last ran */
    uint64_t due_ns;                      /* when it was to run again at the latest */
    uint64_t isid;                        /* of iscsi_begin() */
    uint64_t connected_ns;                /* when the last connection came about */
    uint64_t logins_ns[LOGINS_WITH_NEWS]; /* when the last ones began, the newest first; 0: never */
    bool has_news;                        /* since the last login */
    bool logins_prove_nothing;            /* a question after one had no answer */
    struct service_dialogue dialogue;
    unsigned answers;     /* over this connection */
    uint64_t answered_ns; /* when the last one of them came */
    struct service_verdict verdict;
    char reason[96];
    void (*changed)(void *context);
    void *context;
};

static void step(struct service_check *check);

static void on_event(evutil_socket_t fd, short what, void *context)
{
    step(context);
}

static void enter(struct service_check *check, int phase, uint64_t now_ns)
{
    check->phase = phase;
    check->began_ns = now_ns;
}

static void count_login(struct service_check *check, uint64_t now_ns)
{
    memmove(check->logins_ns + 1, check->logins_ns, sizeof(check->logins_ns) - sizeof(*check->logins_ns));
    check->logins_ns[0] = now_ns;
    check->has_news = false;
}

/* The first answer of a session is that to its login. */
static bool is_logging_in(const struct service_check *check)
{
    return check->settings.protocol.kind == SERVICE_ISCSI && check->answers == 0;
}

/* By its last answer. */
static bool has_lasted(const struct service_check *check)
{
    return check->answers >= 2 && check->answered_ns - check->logins_ns[0] >= LASTED_NS;
}

/* One whose session has lasted does not count. */
static void discount_login(struct service_check *check)
{
    if (!has_lasted(check))
        return;
    memmove(check->logins_ns, check->logins_ns + 1, sizeof(check->logins_ns) - sizeof(*check->logins_ns));
    check->logins_ns[LOGINS_WITH_NEWS - 1] = 0;
}

static void hang_up(struct service_check *check)
{
    discount_login(check);
    if (check->io)
        event_free(check->io);
    check->io = NULL;
    check->fd = close_fd(check->fd);
    check->answers = 0;
    check->phase = IDLE;
}

static void explain(struct service_check *check, const char *why)
{
    snprintf(check->reason, sizeof(check->reason), "%s", why);
}

/*
 * Is it news that this connection is refused, or ends?
 * - Before it gave an answer: yes, the server may be dead.
 * - After one answer: no, the server may end each connection after the first answer (to an iSCSI login, or to an NFS
 *   question).
 * - After more of them: yes, this server keeps its connections.
 */
static bool end_is_news(const struct service_check *check)
{
    return check->answers != 1;
}

static void refused(struct service_check *check, const char *why, uint64_t now_ns)
{
    bool is_news = end_is_news(check);

    check->logins_prove_nothing &= is_news;
    hang_up(check);
    explain(check, why);
    service_verdict_refused(&check->verdict, now_ns);
    if (!service_verdict_is_pending(&check->verdict))
        return;
    check->has_news |= is_news;
    check->next_ns = now_ns + SERVICE_CONFIRM_NS;
}

static void proven(struct service_check *check)
{
    check->logins_prove_nothing = false;
    service_verdict_answered(&check->verdict);
}

static void answered(struct service_check *check, uint64_t now_ns)
{
    if (check->logins_prove_nothing && is_logging_in(check))
        check->next_ns = now_ns;
    else
        proven(check);
    check->answers++;
    check->answered_ns = now_ns;
    enter(check, KEPT, now_ns);
}

static void answered_finally(struct service_check *check)
{
    proven(check);
    hang_up(check);
}

/* What the kernel says of the connection: an answer, or that the network is at fault, which is as good as silence. */
static void failed(struct service_check *check, int error, uint64_t now_ns)
{
    if (error == ECONNREFUSED || error == ECONNRESET || error == EPIPE) {
        refused(check, strerror(error), now_ns);
        return;
    }
    hang_up(check);
    explain(check, strerror(error));
}

/* Waits for what comes over the connection. 0 or -ENOMEM. */
static int watch(struct service_check *check, short what)
{
    if (check->io)
        event_free(check->io);
    check->io = event_new(check->base, check->fd, (short)(what | EV_PERSIST), on_event, check);
    return check->io && event_add(check->io, NULL) == 0 ? 0 : -ENOMEM;
}

/* False: the connection is lost. */
static bool say(struct service_check *check, const uint8_t *bytes, size_t size, uint64_t now_ns)
{
    ssize_t sent = send(check->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent == (ssize_t)size)
        return true;
    failed(check, sent < 0 ? errno : EAGAIN, now_ns);
    return false;
}

static void ask(struct service_check *check, uint64_t now_ns)
{
    uint8_t request[SERVICE_REQUEST_SIZE];
    size_t size =
        service_dialogue_ask(&check->dialogue, &check->settings.protocol, &check->settings.address, request);

    if (size == 0)
        answered_finally(check);
    else if (!say(check, request, size, now_ns))
        return;
    else if (watch(check, EV_READ) < 0)
        hang_up(check);
    else
        enter(check, ASKED, now_ns);
}

/* Of connect(): no memory, or no port left (EADDRNOTAVAIL, connect(2)). */
static bool is_own_lack(int error)
{
    return error == ENOMEM || error == ENOBUFS || error == EAGAIN || error == EADDRNOTAVAIL;
}

/* To the interface, or at least to its address. 0; ENODEV; or a negative errno: our own lack of means. */
static int bind_way(const struct service_check *check)
{
    const struct service_check_settings *settings = &check->settings;
    int r = settings->ifindex ? interface_bind(check->fd, settings->ifindex) : 0;
    struct sockaddr_storage from;
    socklen_t size = address_to_sockaddr(&settings->source, 0, &from);

    if (r != -ENOPROTOOPT)
        return r == -ENODEV ? ENODEV : r;
    return size > 0 && bind(check->fd, (struct sockaddr *)&from, size) < 0 ? -errno : 0;
}

/* 0: under way; a positive errno of connect(); a negative one: our own lack of means. */
static int connection_start(struct service_check *check)
{
    struct linger reset = {.l_onoff = 1};
    int on = 1, r;
    struct sockaddr_storage to;
    socklen_t size = address_to_sockaddr(&check->settings.address, check->settings.protocol.port, &to);

    check->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (check->fd < 0 || setsockopt(check->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0 ||
        setsockopt(check->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        return -errno;
    r = bind_way(check);
    if (r != 0)
        return r;
    if (connect(check->fd, (struct sockaddr *)&to, size) < 0 && errno != EINPROGRESS)
        return is_own_lack(errno) ? -errno : errno;
    return watch(check, EV_WRITE);
}

static void round_start(struct service_check *check, uint64_t now_ns)
{
    int error;

    check->asked_ns = now_ns;
    check->next_ns = now_ns + check->settings.interval_ns;
    if (check->phase == KEPT) {
        service_verdict_asked(&check->verdict, now_ns);
        ask(check, now_ns);
        return;
    }
    error = connection_start(check);
    if (error < 0) {
        hang_up(check);
        service_verdict_not_asked(&check->verdict);
        return;
    }
    service_verdict_asked(&check->verdict, now_ns);
    enter(check, CONNECTING, now_ns);
    if (error > 0)
        failed(check, error, now_ns);
}

/* --- what has come over the connection --- */

static bool is_ready(const struct service_check *check, short what)
{
    struct pollfd pollfd = {.fd = check->fd, .events = what};

    return poll(&pollfd, 1, 0) > 0;
}

/* From when on the next connection may be used for a login; for what is not iSCSI always. */
static uint64_t login_at_ns(const struct service_check *check)
{
    uint64_t counted_ns = check->logins_ns[(check->has_news ? LOGINS_WITH_NEWS : LOGINS) - 1];

    return check->settings.protocol.kind == SERVICE_ISCSI && counted_ns ? counted_ns + LOGIN_SPAN_NS : 0;
}

static void look_connecting(struct service_check *check, uint64_t now_ns)
{
    int error = 0;

    if (!is_ready(check, POLLOUT))
        return;
    if (getsockopt(check->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)}) < 0)
        error = errno;
    if (error) {
        failed(check, error, now_ns);
        return;
    }
    check->connected_ns = now_ns;
    if (now_ns < login_at_ns(check)) {
        hang_up(check);
        service_verdict_not_asked(&check->verdict);
        return;
    }
    service_dialogue_begin(&check->dialogue, check->isid);
    count_login(check, now_ns);
    ask(check, now_ns);
}

/* While it is not asked: then it is asked anew, soon. */
static void ended(struct service_check *check, uint64_t now_ns)
{
    bool is_news = end_is_news(check);

    check->logins_prove_nothing &= is_news;
    hang_up(check);
    check->has_news |= is_news;
    if (is_news)
        check->next_ns = min_u64(check->next_ns, max_u64(now_ns, check->asked_ns + SERVICE_CONFIRM_NS));
}

/* It is no answer, but a question that stands has its full time again. */
static void lives(struct service_check *check, const struct service_reply *reply, uint64_t now_ns)
{
    if (check->phase == ASKED) {
        service_verdict_not_asked(&check->verdict);
        service_verdict_asked(&check->verdict, now_ns);
        enter(check, ASKED, now_ns);
    }
    if (reply->say_bytes)
        say(check, reply->say, reply->say_bytes, now_ns);
}

static void take(struct service_check *check, const struct service_reply *reply, uint64_t now_ns)
{
    switch (reply->answer) {
    case SERVICE_INCOMPLETE:
        break;
    case SERVICE_LIVES:
        lives(check, reply, now_ns);
        break;
    case SERVICE_ANSWERS:
        answered(check, now_ns);
        break;
    case SERVICE_ENDS:
        answered_finally(check);
        break;
    case SERVICE_REFUSES:
        if (check->phase == KEPT)
            ended(check, now_ns);
        else
            refused(check, reply->why, now_ns);
        break;
    }
}

static void take_all(struct service_check *check, const uint8_t *bytes, size_t size, uint64_t now_ns)
{
    struct service_reply reply;

    for (size_t taken; size > 0 && check->phase != IDLE; bytes += taken, size -= taken) {
        taken = service_dialogue_hear(&check->dialogue, &check->settings.protocol, bytes, size, &reply);
        take(check, &reply, now_ns);
    }
}

static void look_connected(struct service_check *check, uint64_t now_ns)
{
    uint8_t bytes[SERVICE_ANSWER_SIZE];
    ssize_t got = recv(check->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0)
        take_all(check, bytes, (size_t)got, now_ns);
    else if (check->phase == KEPT)
        ended(check, now_ns);
    else if (got < 0)
        failed(check, errno, now_ns);
    else
        refused(check, "the connection is closed without an answer", now_ns);
}

static void look(struct service_check *check, uint64_t now_ns)
{
    switch (check->phase) {
    case CONNECTING:
        look_connecting(check, now_ns);
        break;
    case ASKED:
    case KEPT:
        look_connected(check, now_ns);
        break;
    case IDLE:
        break;
    }
}

/* --- time --- */

/* When what is under way is given up and begun anew. */
static uint64_t patience_ends_ns(const struct service_check *check)
{
    if (check->phase == CONNECTING)
        return check->began_ns + max_u64(CONNECT_NS, check->settings.interval_ns);
    return check->phase == ASKED ? check->began_ns + check->settings.window_ns : NEVER_NS;
}

static const char *silence(const struct service_check *check)
{
    return check->phase == ASKED ? "it accepts connections but does not answer" : strerror(ETIMEDOUT);
}

static void give_up(struct service_check *check, uint64_t now_ns)
{
    if (service_verdict_silent(&check->verdict, now_ns) && check->phase != IDLE)
        explain(check, silence(check));
    if (now_ns < patience_ends_ns(check))
        return;
    check->logins_prove_nothing |= check->answers > 0;
    hang_up(check);
}

/* When it is asked next, unless something is under way. */
static uint64_t round_at_ns(const struct service_check *check)
{
    if (check->phase == KEPT)
        return check->next_ns;
    return max_u64(check->next_ns, min_u64(login_at_ns(check), check->connected_ns + CONNECTION_SPAN_NS));
}

static void set_timer(struct service_check *check, uint64_t now_ns)
{
    uint64_t at_ns = min_u64(patience_ends_ns(check), service_verdict_silent_at_ns(&check->verdict)), in_ns;
    struct timeval in;

    if (check->phase == IDLE || check->phase == KEPT)
        at_ns = min_u64(at_ns, round_at_ns(check));
    in_ns = sub_sat_u64(at_ns, now_ns) + NS_PER_US - 1; /* rounded up: not to come too early */
    in = (struct timeval){.tv_sec = (time_t)(in_ns / NS_PER_S),
                          .tv_usec = (suseconds_t)(in_ns % NS_PER_S / NS_PER_US)};
    event_add(check->timer, &in);
    check->due_ns = max_u64(at_ns, now_ns);
}

/* This process was not running, or its machine was not: what came meanwhile may not have been read, or be lost. */
static void forgive_stall(struct service_check *check, uint64_t now_ns)
{
    uint64_t unseen_ns = now_ns - check->looked_ns;

    check->looked_ns = now_ns;
    if (!check->due_ns || sub_sat_u64(now_ns, check->due_ns) <= check->settings.window_ns / STALL_PART)
        return;
    service_verdict_forgive(&check->verdict, unseen_ns);
    check->began_ns += unseen_ns;
}

static void step(struct service_check *check)
{
    enum service_check_state before = check->verdict.state;
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);

    forgive_stall(check, now_ns);
    look(check, now_ns);
    give_up(check, now_ns);
    if ((check->phase == IDLE || check->phase == KEPT) && now_ns >= check->next_ns) {
        if (now_ns >= round_at_ns(check))
            round_start(check, now_ns);
        else
            service_verdict_not_asked(&check->verdict);
    }
    set_timer(check, now_ns);
    if (check->verdict.state != before)
        check->changed(check->context); /* last: it may free us */
}

/* --- its life --- */

static uint64_t interval_of(uint64_t wanted_ns)
{
    return max_u64(wanted_ns, SERVICE_CHECK_INTERVAL_MIN_NS);
}

uint64_t service_check_dead_after_ns(uint64_t interval_ns)
{
    return max_u64(CONNECTION_SPAN_NS, interval_of(interval_ns)) + SERVICE_CONFIRM_NS;
}

uint64_t service_check_hung_after_ns(uint64_t interval_ns, uint64_t window_ns)
{
    return max_u64(LOGIN_SPAN_NS, interval_of(interval_ns)) + window_ns;
}

int service_check_new(struct service_check **out, struct event_base *base,
                      const struct service_check_settings *settings, void (*changed)(void *context),
                      void *context)
{
    struct service_check *check = calloc(1, sizeof(*check));
    int r;

    if (!check)
        return -ENOMEM;
    *check = (struct service_check){
        .settings = *settings,
        .base = base,
        .fd = -1,
        .verdict = {.window_ns = settings->window_ns, .assumed = settings->assumed},
        .changed = changed,
        .context = context,
    };
    check->settings.interval_ns = interval_of(settings->interval_ns);
    check->timer = event_new(base, -1, 0, on_event, check);
    r = check->timer ? unguessable_fill(&check->isid, sizeof(check->isid)) : -ENOMEM;
    if (r < 0) {
        service_check_free(check);
        return r;
    }
    event_active(check->timer, EV_TIMEOUT, 0); /* the first round at once */
    *out = check;
    return 0;
}

struct service_check *service_check_free(struct service_check *check)
{
    if (!check)
        return NULL;
    hang_up(check);
    if (check->timer)
        event_free(check->timer);
    free(check);
    return NULL;
}

void service_check_set_interval(struct service_check *check, uint64_t interval_ns)
{
    uint64_t usual_ns = check->asked_ns + check->settings.interval_ns, next_ns;

    if (check->settings.interval_ns == interval_of(interval_ns))
        return;
    check->settings.interval_ns = interval_of(interval_ns);
    if (!check->asked_ns)
        return; /* the first round comes at once */
    next_ns = check->asked_ns + check->settings.interval_ns;
    /* It may have a cause to be asked sooner. */
    check->next_ns = check->next_ns < usual_ns ? min_u64(check->next_ns, next_ns) : next_ns;
    set_timer(check, clock_now_ns(CLOCK_MONOTONIC));
}

void service_check_set_source(struct service_check *check, const struct address *source)
{
    check->settings.source = *source;
}

void service_check_soon(struct service_check *check)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);

    check->next_ns = min_u64(check->next_ns, now_ns);
    set_timer(check, now_ns);
}

enum service_check_state service_check_state(const struct service_check *check)
{
    return check->verdict.state;
}

const char *service_check_reason(const struct service_check *check)
{
    return check->reason;
}
