/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet sizes: the rules are in path_mtu.h and path_mtu_search.h.
 *
 * A target is always in one of a few queues: with a request to send, waiting for a reply, refused by the
 * kernel, done. What is asked of it is one size at a time; an answer leads to the next size, and the target
 * goes back among those with a request to send. Every wait is equally long, so the queue of those who wait is
 * in order.
 *
 * Which size a reply is about travels in the request: its number is (payload size, count), 16 bits each. So a
 * reply to a size of long ago is told apart without a table.
 *
 * Buffers grow with the largest payload that is to be sent, but only between receiving and sending: the
 * packets of a batch that is being received are in them.
 */
#include "probe/path_mtu.h"

#include <sys/queue.h>

#include "probe/front_end_state.h"
#include "probe/path_mtu_search.h"
#include "probe/transport.h"

#define REFUSED_PAUSE_NS (10 * NS_PER_US) /* for each of those that are tried again */

enum path_mtu_state {
    PATH_MTU_NEW,     /* has not had its first turn; in no queue */
    PATH_MTU_DUE,     /* a request is to be sent */
    PATH_MTU_WAITING, /* for a reply to the last one */
    PATH_MTU_REFUSED, /* the kernel had no room for the next one */
    PATH_MTU_READY,   /* done, not pulled */
    PATH_MTU_DONE,    /* in no queue */
    PATH_MTU_STATES,
};

/* All zero is a target that has not been asked. */
struct path_mtu_record {
    TAILQ_ENTRY(path_mtu_record) link; /* in the queue of its state */
    uint64_t due_ns;                   /* PATH_MTU_WAITING: end of this wait */
    uint64_t refused_since_ns;         /* 0: the last request left */
    uint64_t rtt_ns;
    struct path_mtu_search search; /* once the small packet has passed */
    uint32_t size_bytes;           /* that is asked about now */
    uint32_t asked;                /* requests for it */
    uint32_t failed;               /* of them, from the first on without a gap */
    uint32_t named_bytes;          /* MTU in a message about it that could be anybody's */
    uint32_t requests;             /* in all */
    uint32_t drops_seen;           /* growths of the drop counter before the first one for this size */
    uint32_t reason;               /* why this size does not pass, as far as it is known */
    uint32_t limit;                /* why search.fails does not */
    uint32_t reply_bytes;          /* of the last reply that was cut short */
    uint8_t state;                 /* enum path_mtu_state */
    bool is_sealed;                /* the reason cannot have been made up */
    bool is_again;                 /* this size is asked for the second time */
    bool is_doubtful;
    bool is_limited; /* search.fails was tried, or told by somebody */
};
_Static_assert(sizeof(struct path_mtu_record) <= 128, "what path_mtu.h promises");

TAILQ_HEAD(path_mtu_queue, path_mtu_record);

struct probe_path_mtu {
    struct front_end front;
    uint32_t check_bytes; /* 0: search */
    struct path_mtu_record *records;
    struct path_mtu_queue queues[PATH_MTU_STATES];
    uint32_t refused_count;
    uint64_t refused_at_ns; /* when those that were refused are tried again */
};

static void move(struct probe_path_mtu *mtu, struct path_mtu_record *record, enum path_mtu_state state)
{
    if (record->state != PATH_MTU_NEW)
        TAILQ_REMOVE(&mtu->queues[record->state], record, link);
    mtu->refused_count -= record->state == PATH_MTU_REFUSED;
    mtu->refused_count += state == PATH_MTU_REFUSED;
    record->state = (uint8_t)state;
    TAILQ_INSERT_TAIL(&mtu->queues[state], record, link);
}

static bool is_open(const struct path_mtu_record *record)
{
    return record->state == PATH_MTU_DUE || record->state == PATH_MTU_WAITING ||
           record->state == PATH_MTU_REFUSED;
}

static uint32_t index_of(const struct probe_path_mtu *mtu, const struct path_mtu_record *record)
{
    return (uint32_t)(record - mtu->records);
}

static struct address address_of(const struct probe_path_mtu *mtu, const struct path_mtu_record *record)
{
    return front_end_address(&mtu->front, index_of(mtu, record));
}

static uint32_t headers_bytes(int family)
{
    return ICMP_HEADER_BYTES + (family == AF_INET ? 20 : 40);
}

/* --- what follows from an answer ----------------------------------------------------------------------- */

static void keep_error(struct probe_path_mtu *mtu, struct path_mtu_record *record, enum probe_outcome outcome,
                       const struct probe_error *error, bool sealed)
{
    record->is_sealed =
        front_end_keep_error(&mtu->front, &record->reason, record->is_sealed, outcome, error, sealed);
}

static void forget_reason(struct probe_path_mtu *mtu, struct path_mtu_record *record)
{
    reasons_release(&mtu->front.reasons, record->reason);
    record->reason = REASON_TIMEOUT;
    record->is_sealed = false;
}

/* This size is asked about from now on, by a request in its turn. */
static void ask(struct probe_path_mtu *mtu, struct path_mtu_record *record, uint32_t size_bytes)
{
    forget_reason(mtu, record);
    record->size_bytes = size_bytes;
    record->asked = record->failed = record->named_bytes = 0;
    move(mtu, record, PATH_MTU_DUE);
}

static bool is_small(const struct path_mtu_record *record)
{
    return record->search.passes == 0;
}

/* The reason of this size is now that of the limit. */
static void keep_limit(struct probe_path_mtu *mtu, struct path_mtu_record *record)
{
    reasons_release(&mtu->front.reasons, record->limit);
    record->limit = record->reason;
    record->reason = REASON_TIMEOUT;
    record->is_limited = true;
}

/* The small packet passes: where does the search begin? */
static void begin(struct probe_path_mtu *mtu, struct path_mtu_record *record)
{
    const struct engine *engine = &mtu->front.engine;
    struct address address = address_of(mtu, record);
    uint32_t largest_bytes = mtu->check_bytes;

    if (!largest_bytes)
        largest_bytes = engine->operations->mtu_bytes(engine->transport, &address, 0);
    if (!largest_bytes)
        largest_bytes = PROBE_PATH_MTU_MAX_BYTES;
    /* The payload is bounded, and with it what can be asked of IPv6 over a loopback. */
    largest_bytes = (uint32_t)min_u64(largest_bytes, PROBE_PAYLOAD_MAX_BYTES + headers_bytes(address.family));
    path_mtu_search_begin(&record->search, record->size_bytes, largest_bytes);
}

/* Our own buffer may have swallowed the answer. True: the size is asked once more. */
static bool is_asked_again(struct probe_path_mtu *mtu, struct path_mtu_record *record)
{
    if (!front_end_has_dropped(&mtu->front, record->drops_seen, record->due_ns))
        return false;
    if (record->is_again || !mtu->front.engine.settings.retry_doubtful) {
        record->is_doubtful = true;
        return false;
    }
    record->is_again = true;
    mtu->front.asked_again++;
    ask(mtu, record, record->size_bytes);
    return true;
}

static void answered(struct probe_path_mtu *mtu, struct path_mtu_record *record, enum path_mtu_answer answer,
                     uint32_t named_bytes)
{
    uint32_t next = 0;

    record->is_again = false;
    if (!is_small(record)) {
        if (path_mtu_search_take(&record->search, record->size_bytes, answer, named_bytes))
            keep_limit(mtu, record);
        if (!mtu->check_bytes)
            next = path_mtu_search_next(&record->search);
    } else if (answer == PATH_MTU_PASSED) {
        begin(mtu, record);
        next = path_mtu_search_next(&record->search);
    }
    if (next)
        ask(mtu, record, next);
    else
        move(mtu, record, PATH_MTU_READY);
}

/* Request `count` of this size will not be answered. When that is true of all, waiting is pointless. */
static void request_failed(struct probe_path_mtu *mtu, struct path_mtu_record *record, uint32_t count)
{
    if ((uint16_t)count != (uint16_t)(record->requests - record->asked + record->failed))
        return;
    if (++record->failed == mtu->front.engine.settings.select_count)
        answered(mtu, record, PATH_MTU_SILENT, record->named_bytes);
}

/* --- what comes in ------------------------------------------------------------------------------------- */

static bool path_mtu_lookup(void *owner, uint32_t index, uint32_t attempt, struct engine_expected *expected)
{
    struct probe_path_mtu *mtu = owner;

    if (index >= mtu->front.count || mtu->records[index].requests == 0)
        return false;
    *expected = (struct engine_expected){
        .address = front_end_address(&mtu->front, index),
        .payload_bytes = attempt >> 16,
    };
    return true;
}

static uint32_t payload_bytes(const struct probe_path_mtu *mtu, const struct path_mtu_record *record)
{
    return record->size_bytes - headers_bytes(address_of(mtu, record).family);
}

static uint32_t attempt_of(const struct probe_path_mtu *mtu, const struct path_mtu_record *record)
{
    return payload_bytes(mtu, record) << 16 | (record->requests & 0xffff);
}

static bool path_mtu_find(void *owner, const struct address *to, uint16_t sequence, uint32_t *index,
                          uint32_t *attempt)
{
    struct probe_path_mtu *mtu = owner;

    for (uint64_t i = sequence; front_end_find(&mtu->front, to, &i); i += 65536) {
        if (mtu->records[i].requests == 0)
            continue;
        *index = (uint32_t)i;
        *attempt = attempt_of(mtu, &mtu->records[i]);
        return true;
    }
    return false;
}

static void take_reply(struct probe_path_mtu *mtu, struct path_mtu_record *record, bool is_current,
                       const struct engine_event *event)
{
    struct probe_counters *counters = &mtu->front.engine.counters;
    bool is_asked_out = record->asked == mtu->front.engine.settings.select_count;
    uint64_t rtt_ns = event->at_ns - event->left_ns;

    if (!is_current) {
        struct address address = address_of(mtu, record);

        if ((event->attempt >> 16) + headers_bytes(address.family) <= record->search.passes)
            counters->duplicates++;
        else
            counters->late++;
        return;
    }
    engine_answered(&mtu->front.engine, event->sent_ns, rtt_ns);
    if (record->state == PATH_MTU_WAITING && is_asked_out && event->stamped &&
        event->at_ns > record->due_ns) {
        counters->late++;
        return;
    }
    counters->replies++;
    if (event->error.reply_bytes)
        record->reply_bytes = event->error.reply_bytes;
    if (is_small(record))
        record->rtt_ns = rtt_ns;
    answered(mtu, record, PATH_MTU_PASSED, 0);
}

/* Is it about the size that is asked about now? */
static bool is_about(const struct probe_path_mtu *mtu, const struct path_mtu_record *record,
                     const struct engine_event *event)
{
    return is_open(record) && record->asked > 0 && event->attempt >> 16 == payload_bytes(mtu, record);
}

static void path_mtu_refused(void *owner, const struct engine_event *event)
{
    struct probe_path_mtu *mtu = owner;
    struct path_mtu_record *record = &mtu->records[event->index];

    if (is_about(mtu, record, event))
        keep_error(mtu, record, event->outcome, &event->error, event->sealed);
}

static void path_mtu_event(void *owner, const struct engine_event *event)
{
    struct probe_path_mtu *mtu = owner;
    struct path_mtu_record *record = &mtu->records[event->index];
    bool is_current = is_about(mtu, record, event);

    if (event->reply) {
        take_reply(mtu, record, is_current, event);
        return;
    }
    if (!is_current)
        return;
    keep_error(mtu, record, event->outcome, &event->error, event->sealed);
    if (!event->sealed) {
        if (event->outcome == PROBE_FRAG_NEEDED)
            record->named_bytes = event->error.mtu_bytes;
    } else if (event->outcome == PROBE_FRAG_NEEDED && !is_small(record)) {
        answered(mtu, record, PATH_MTU_TOO_BIG, event->error.mtu_bytes);
    } else {
        request_failed(mtu, record, event->attempt);
    }
}

/* --- sending ------------------------------------------------------------------------------------------- */

static void refused(struct probe_path_mtu *mtu, struct path_mtu_record *record, uint64_t now_ns, int want)
{
    if (record->refused_since_ns == 0)
        record->refused_since_ns = now_ns;
    if (now_ns - record->refused_since_ns < FRONT_END_PATIENCE_NS) {
        if (mtu->refused_count == 0)
            mtu->refused_at_ns = now_ns + ENGINE_RETRY_NS;
        move(mtu, record, PATH_MTU_REFUSED);
        return;
    }
    keep_error(mtu, record, PROBE_SEND_FAILED, &(struct probe_error){.error = want}, true);
    record->is_doubtful = true;
    if (!is_small(record) && path_mtu_search_take(&record->search, record->size_bytes, PATH_MTU_SILENT, 0))
        keep_limit(mtu, record);
    move(mtu, record, PATH_MTU_READY);
}

/*
 * The kernel knows the interface's MTU, and its word is final; unless it is the error of somebody else's
 * packet that it reports (socket_io.c): then the size is one that fits.
 */
static void send_failed(struct probe_path_mtu *mtu, struct path_mtu_record *record,
                        const struct engine_request *request, uint64_t now_ns)
{
    enum probe_outcome outcome;
    struct probe_error error;

    if (request->error == EMSGSIZE && request->mtu_bytes >= record->size_bytes) {
        refused(mtu, record, now_ns, EAGAIN);
        return;
    }
    outcome = engine_send_outcome(request, &error);
    keep_error(mtu, record, outcome, &error, true);
    if (outcome == PROBE_FRAG_NEEDED && !is_small(record))
        answered(mtu, record, PATH_MTU_TOO_BIG, request->mtu_bytes);
    else
        request_failed(mtu, record, request->attempt);
}

static void path_mtu_made(void *owner, const struct engine_request *request, uint64_t left_ns)
{
    struct probe_path_mtu *mtu = owner;
    struct path_mtu_record *record = &mtu->records[request->index];

    if (record->asked++ == 0)
        record->drops_seen = mtu->front.growths;
    record->requests++;
    record->refused_since_ns = 0;
    record->due_ns = left_ns + mtu->front.engine.settings.select_timeout_ns;
    move(mtu, record, PATH_MTU_WAITING);
    if (request->error)
        send_failed(mtu, record, request, left_ns);
}

static void path_mtu_no_room(void *owner, const struct engine_request *request, uint64_t now_ns, int want)
{
    struct probe_path_mtu *mtu = owner;

    refused(mtu, &mtu->records[request->index], now_ns, want);
}

/* The others stay in line. */
static void path_mtu_blocked(void *owner, const struct engine_request *requests, unsigned count,
                             uint64_t now_ns, int want)
{
    path_mtu_no_room(owner, &requests[0], now_ns, want);
}

/* Those that were refused get in line again, now and then: not to be busy with nothing else. */
static void retry_refused(struct probe_path_mtu *mtu, uint64_t now_ns)
{
    struct path_mtu_record *record;

    if (mtu->refused_count == 0 || now_ns < mtu->refused_at_ns)
        return;
    mtu->refused_at_ns = now_ns + max_u64(ENGINE_RETRY_NS, mtu->refused_count * REFUSED_PAUSE_NS);
    while ((record = TAILQ_FIRST(&mtu->queues[PATH_MTU_REFUSED])))
        move(mtu, record, PATH_MTU_DUE);
}

/* The target gets in line with its small packet. */
static void path_mtu_found(void *owner, uint32_t index, const struct address *address)
{
    struct probe_path_mtu *mtu = owner;
    struct path_mtu_record *record = &mtu->records[index];

    ask(mtu, record, headers_bytes(address->family) + PROBE_PATH_MTU_SMALL_PAYLOAD_BYTES);
    if (mtu->front.engine.is_open[address->family == AF_INET6])
        return;
    keep_error(mtu, record, PROBE_SEND_FAILED, &(struct probe_error){.error = EAFNOSUPPORT}, true);
    move(mtu, record, PATH_MTU_READY);
}

/* As many first turns as there is room in a batch. */
static void admit(struct probe_path_mtu *mtu, unsigned limit)
{
    while (limit > 0 && mtu->front.position < mtu->front.count) {
        uint32_t index = front_end_at(&mtu->front, mtu->front.position++);
        struct address address = front_end_address(&mtu->front, index);

        if (mtu->records[index].state != PATH_MTU_NEW || !address_is_set(&address))
            continue;
        path_mtu_found(mtu, index, &address);
        limit--;
    }
}

/* Those in the batch stay in their queue until it is known what came of them. */
static int path_mtu_collect(void *owner, uint64_t now_ns, struct engine_request *requests, unsigned limit)
{
    struct probe_path_mtu *mtu = owner;
    struct engine *engine = &mtu->front.engine;
    struct path_mtu_record *record;
    unsigned count = 0;

    retry_refused(mtu, now_ns);
    admit(mtu, limit);
    TAILQ_FOREACH(record, &mtu->queues[PATH_MTU_DUE], link)
    {
        struct engine_request *request = &requests[count];
        int r = 0;

        if (count == limit)
            break;
        *request = (struct engine_request){
            .index = index_of(mtu, record),
            .attempt = attempt_of(mtu, record),
            .sequence = (uint16_t)index_of(mtu, record),
            .to = address_of(mtu, record),
            .payload_bytes = payload_bytes(mtu, record),
            .dont_fragment = true,
        };
        if (request->payload_bytes > engine->payload_bytes)
            r = engine_reserve(engine, request->payload_bytes, mtu->front.count);
        if (r < 0)
            return r;
        count++;
    }
    return (int)count;
}

/* --- the round ----------------------------------------------------------------------------------------- */

static uint64_t path_mtu_due_ns(void *owner)
{
    struct probe_path_mtu *mtu = owner;
    const struct path_mtu_record *record = TAILQ_FIRST(&mtu->queues[PATH_MTU_WAITING]);

    return record ? record->due_ns : NEVER_NS;
}

/* One more request, or the answer is silence. */
static void path_mtu_judge(void *owner, uint64_t now_ns)
{
    struct probe_path_mtu *mtu = owner;
    struct path_mtu_record *record = TAILQ_FIRST(&mtu->queues[PATH_MTU_WAITING]);

    if (record->asked < mtu->front.engine.settings.select_count)
        move(mtu, record, PATH_MTU_DUE);
    else if (!is_asked_again(mtu, record))
        answered(mtu, record, PATH_MTU_SILENT, record->named_bytes);
}

static uint64_t path_mtu_turn_ns(void *owner, uint64_t now_ns)
{
    struct probe_path_mtu *mtu = owner;

    if (mtu->front.position < mtu->front.count || !TAILQ_EMPTY(&mtu->queues[PATH_MTU_DUE]))
        return now_ns;
    return mtu->refused_count > 0 ? mtu->refused_at_ns : NEVER_NS;
}

static bool path_mtu_has_results(const void *owner)
{
    const struct probe_path_mtu *mtu = owner;

    return !TAILQ_EMPTY(&mtu->queues[PATH_MTU_READY]);
}

static const struct front_end_owner path_mtu_owner = {
    .incoming = {.lookup = path_mtu_lookup,
                 .find = path_mtu_find,
                 .event = path_mtu_event,
                 .refused = path_mtu_refused},
    .found = path_mtu_found,
    .has_results = path_mtu_has_results,
    .due_ns = path_mtu_due_ns,
    .judge = path_mtu_judge,
    .turn_ns = path_mtu_turn_ns,
    .collect = path_mtu_collect,
    .made = path_mtu_made,
    .no_room = path_mtu_no_room,
    .blocked = path_mtu_blocked,
};

/* --- life and results ------------------------------------------------------------------------------------ */

static int take(struct probe_path_mtu *mtu, struct probe_targets *targets, bool shuffled)
{
    mtu->records = calloc(max_u64(targets->count, 1), sizeof(*mtu->records));
    if (!mtu->records)
        return -ENOMEM;
    return front_end_take(&mtu->front, targets, shuffled);
}

int probe_path_mtu_new_over(struct probe_path_mtu **out, const struct probe_settings *settings,
                            uint32_t check_bytes, struct probe_targets *targets, bool shuffled,
                            struct transport *transport)
{
    CLEANUP(probe_path_mtu_free) struct probe_path_mtu *mtu = calloc(1, sizeof(*mtu));
    struct probe_settings small = *settings;
    int r;

    if (!mtu) {
        transport_close(transport);
        return -ENOMEM;
    }
    mtu->check_bytes = check_bytes;
    for (size_t i = 0; i < ARRAY_SIZE(mtu->queues); i++)
        TAILQ_INIT(&mtu->queues[i]);
    small.payload_bytes = PROBE_PATH_MTU_SMALL_PAYLOAD_BYTES;
    r = front_end_init(&mtu->front, transport, &small, &path_mtu_owner, mtu);
    if (r == 0)
        r = take(mtu, targets, shuffled);
    if (r < 0)
        return r;
    *out = TAKE(mtu);
    return 0;
}

int probe_path_mtu_new(struct probe_path_mtu **out, const struct probe_settings *settings,
                       uint32_t check_bytes, struct probe_targets *targets, bool shuffled, char *message,
                       size_t size_bytes)
{
    struct transport *transport = NULL;
    int r = transport_open(&transport, settings, targets->count, message, size_bytes);

    if (r < 0)
        return r;
    r = probe_path_mtu_new_over(out, settings, check_bytes, targets, shuffled, transport);
    if (r < 0)
        snprintf(message, size_bytes, "%s", strerror(-r));
    return r;
}

struct probe_path_mtu *probe_path_mtu_free(struct probe_path_mtu *mtu)
{
    if (!mtu)
        return NULL;
    front_end_destroy(&mtu->front);
    free(mtu->records);
    free(mtu);
    return NULL;
}

struct front_end *probe_path_mtu_front(struct probe_path_mtu *mtu)
{
    return &mtu->front;
}

bool probe_path_mtu_next(struct probe_path_mtu *mtu, uint32_t *index)
{
    struct path_mtu_record *record = TAILQ_FIRST(&mtu->queues[PATH_MTU_READY]);

    if (!record)
        return false;
    TAILQ_REMOVE(&mtu->queues[PATH_MTU_READY], record, link);
    TAILQ_INSERT_TAIL(&mtu->queues[PATH_MTU_DONE], record, link);
    record->state = PATH_MTU_DONE;
    *index = (uint32_t)(record - mtu->records);
    return true;
}

bool probe_path_mtu_result(const struct probe_path_mtu *mtu, uint32_t index,
                           struct probe_path_mtu_result *result)
{
    const struct path_mtu_record *record = &mtu->records[index];

    *result = (struct probe_path_mtu_result){
        .requests = record->requests,
        .doubtful = record->is_doubtful,
        .passes_bytes = record->search.passes,
        .outcome = PROBE_REPLY,
        .rtt_ns = record->rtt_ns,
        .error.reply_bytes = record->search.passes ? record->reply_bytes : 0,
    };
    if (record->search.passes == 0)
        result->outcome = reasons_get(&mtu->front.reasons, record->reason, &result->error);
    if (record->is_limited) {
        result->fails_bytes = record->search.fails;
        result->limit = reasons_get(&mtu->front.reasons, record->limit, &result->limit_error);
    }
    return record->state == PATH_MTU_READY || record->state == PATH_MTU_DONE;
}
