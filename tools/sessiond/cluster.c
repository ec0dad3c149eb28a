/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lab's cluster, without its sockets.
 *
 * Every member sends all others a heartbeat over the storage network. One member leads: it keeps the table
 * of sessions, renews a session's lease with each heartbeat of its member, takes out the sessions whose lease
 * is over, and sends everybody the table after each change and with each heartbeat of its own. The others
 * answer with the table as they last heard it, alive_sec included: a member that is cut off therefore answers
 * with an old list whose alive_sec stands still.
 *
 * Leading takes a majority. A leader that does not hear one (by heartbeats) steps down, well before it would
 * have taken the others out. When there is no leader for five heartbeats, the member with the newest table,
 * of equals the one with the lowest number, asks all others to let it lead a new term, and leads when a
 * majority does. A member consents to one leader a term, not while it hears one, and to none whose table is
 * older than its own: (term, index) of a table say how new it is. So a table that a majority has is not lost,
 * and a member that has restarted, or has heard of nothing for a while, never leads while a newer table
 * lives.
 *
 * A session that was taken out never comes back: its member sees a table without itself and takes a new
 * uuid. A member that restarts within the lease is in the list twice until the old lease is over.
 *
 * Time is an argument, messages are JSON text, nothing here knows a socket. Deliberately not done: a log. A
 * leader does not wait for a majority to have its table; what only it knew goes with it.
 */
#include "tools/sessiond/cluster.h"

#include <cjson/cJSON.h>
#include <sys/random.h>

#include "tools/sessiond/clients.h"

#define SESSIONS_MAX 256
#define BURIED_MAX   64

struct session {
    char uuid[LAB_UUID_SIZE];
    struct lab_identity who;
    char clients[LAB_CLIENTS_SIZE]; /* comma-separated */
    uint64_t born_ns;
    uint64_t lease_end_ns; /* kept by the leader */
};

/* How new a table is. All zero: of a member that has just started. */
struct position {
    uint64_t term;  /* of the leader that wrote it */
    uint64_t index; /* grows with every table, and from leader to leader */
};

struct member {
    uint64_t heard_ns; /* last heard of; 0: never */
    struct position position;
};

struct lab_cluster {
    struct lab_cluster_settings set;
    char uuid[LAB_UUID_SIZE]; /* of this member's own session */
    bool enlisted;            /* that uuid has been in the table */
    uint64_t missing_ns;      /* since when tables come without it; 0: they have it */
    struct member members[LAB_MEMBERS_MAX + 1];

    struct session sessions[SESSIONS_MAX];
    size_t count;
    struct position position; /* of the table */
    uint64_t as_of_ns;        /* the table is what was known then */
    unsigned leader;          /* 0: none */
    uint64_t leader_ns;       /* last heard of it; the start, when never */
    uint64_t next_heartbeat_ns;

    uint64_t highest_term;   /* asked for by anybody, as far as is known */
    uint64_t consented_term; /* to a leader of this term, our own asking included; to no other one */
    uint64_t asked_term;     /* the last for which this member asked */
    uint64_t consents;       /* to that, a bit for each member */
    uint64_t next_ask_ns;

    char buried[BURIED_MAX][LAB_UUID_SIZE]; /* taken out: not let in again */
    size_t burials;
};

static inline uint64_t patience_ns(const struct lab_cluster *c)
{
    return 5 * c->set.heartbeat_ns;
}

static inline bool leads(const struct lab_cluster *c)
{
    return c->leader == c->set.self.id;
}

/* --- small things ----------------------------------------------------------------------------------------*/

static void copy_text(char *to, size_t size_bytes, const char *from)
{
    snprintf(to, size_bytes, "%s", from ? from : "");
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text ? text : "";
}

static uint64_t number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNumber(item) && item->valuedouble > 0 ? (uint64_t)item->valuedouble : 0;
}

/* A random one (RFC 9562, section 5.4). */
static void make_uuid(char out[static LAB_UUID_SIZE])
{
    uint8_t b[16];

    if (getrandom(b, sizeof(b), 0) != sizeof(b))
        abort();
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    snprintf(out, LAB_UUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static struct session *session_find(struct lab_cluster *c, const char *uuid)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->sessions[i].uuid, uuid) == 0)
            return &c->sessions[i];
    }
    return NULL;
}

/* Positive when a is newer. */
static int position_compare(const struct position *a, const struct position *b)
{
    return a->term != b->term ? (a->term > b->term) - (a->term < b->term)
                              : (a->index > b->index) - (a->index < b->index);
}

static struct position position_of(const cJSON *message)
{
    return (struct position){.term = number_of(message, "term"), .index = number_of(message, "index")};
}

static bool member_is_live(const struct lab_cluster *c, unsigned id, uint64_t now_ns)
{
    return id == c->set.self.id ||
           (c->members[id].heard_ns && now_ns - c->members[id].heard_ns <= patience_ns(c));
}

static bool has_majority(const struct lab_cluster *c, uint64_t now_ns)
{
    unsigned live = 0;

    for (unsigned id = 1; id <= c->set.members; id++)
        live += member_is_live(c, id, now_ns);
    return 2 * live > c->set.members;
}

/* --- client addresses ------------------------------------------------------------------------------------*/

/* The leader's part of a refresh. */
static int move_clients(struct lab_cluster *c, struct session *target, const char *clients)
{
    char one[ADDRESS_TEXT_SIZE];
    bool ok;

    while (lab_clients_next(&clients, one, &ok)) {
        int r;

        if (!ok)
            return -EINVAL;
        for (size_t i = 0; i < c->count; i++)
            lab_clients_remove(c->sessions[i].clients, one);
        r = lab_clients_add(target->clients, one);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- messages out ----------------------------------------------------------------------------------------*/

static cJSON *message_new(const struct lab_cluster *c, const char *type)
{
    cJSON *message = cJSON_CreateObject();

    cJSON_AddStringToObject(message, "type", type);
    cJSON_AddNumberToObject(message, "from", c->set.self.id);
    cJSON_AddNumberToObject(message, "term", (double)c->position.term);
    cJSON_AddNumberToObject(message, "index", (double)c->position.index);
    cJSON_AddNumberToObject(message, "highest_term", (double)c->highest_term);
    return message;
}

static void message_send(const struct lab_cluster *c, unsigned to, cJSON *message)
{
    char *text = cJSON_PrintUnformatted(message);

    if (text)
        c->set.send(c->set.context, to, text);
    cJSON_free(text);
    cJSON_Delete(message);
}

static void add_identity(cJSON *object, const char *uuid, const struct lab_identity *who)
{
    cJSON_AddStringToObject(object, "uuid", uuid);
    cJSON_AddNumberToObject(object, "id", who->id);
    cJSON_AddStringToObject(object, "ip", who->ip);
    cJSON_AddStringToObject(object, "zone", who->zone);
    cJSON_AddStringToObject(object, "host_data", who->host_data);
    cJSON_AddStringToObject(object, "machine", who->machine);
}

static void get_identity(const cJSON *object, struct lab_identity *who)
{
    who->id = (unsigned)number_of(object, "id");
    copy_text(who->ip, sizeof(who->ip), text_of(object, "ip"));
    copy_text(who->zone, sizeof(who->zone), text_of(object, "zone"));
    copy_text(who->host_data, sizeof(who->host_data), text_of(object, "host_data"));
    copy_text(who->machine, sizeof(who->machine), text_of(object, "machine"));
}

static void send_heartbeat(struct lab_cluster *c)
{
    cJSON *message = message_new(c, "heartbeat");

    add_identity(message, c->uuid, &c->set.self);
    message_send(c, 0, message);
}

/* "ask" to lead a term, or "consent" to that. */
static void send_about_term(struct lab_cluster *c, const char *type, unsigned to, uint64_t term)
{
    cJSON *message = message_new(c, type);

    cJSON_AddNumberToObject(message, "wanted_term", (double)term);
    message_send(c, to, message);
}

static void send_table(struct lab_cluster *c, uint64_t now_ns)
{
    cJSON *message, *sessions;

    c->position.index++;
    message = message_new(c, "table");
    sessions = cJSON_AddArrayToObject(message, "sessions");
    for (size_t i = 0; i < c->count; i++) {
        const struct session *s = &c->sessions[i];
        cJSON *entry = cJSON_CreateObject();

        add_identity(entry, s->uuid, &s->who);
        cJSON_AddNumberToObject(entry, "alive_ms", (double)((now_ns - s->born_ns) / NS_PER_MS));
        cJSON_AddStringToObject(entry, "clients", s->clients);
        cJSON_AddItemToArray(sessions, entry);
    }
    message_send(c, 0, message);
}

/* --- leading ---------------------------------------------------------------------------------------------*/

/* A heartbeat of a member, seen by the leader. True when the table has changed. */
static bool renew(struct lab_cluster *c, const char *uuid, const struct lab_identity *who, uint64_t now_ns)
{
    struct session *s = session_find(c, uuid);

    if (s) {
        s->lease_end_ns = now_ns + c->set.lease_ns;
        return false;
    }
    for (size_t i = 0; i < BURIED_MAX; i++) {
        if (strcmp(c->buried[i], uuid) == 0)
            return false;
    }
    if (c->count == SESSIONS_MAX)
        return false;
    s = &c->sessions[c->count++];
    *s = (struct session){.who = *who, .born_ns = now_ns, .lease_end_ns = now_ns + c->set.lease_ns};
    copy_text(s->uuid, sizeof(s->uuid), uuid);
    return true;
}

static bool expire(struct lab_cluster *c, uint64_t now_ns)
{
    size_t kept = 0, before = c->count;

    for (size_t i = 0; i < before; i++) {
        if (c->sessions[i].lease_end_ns > now_ns)
            c->sessions[kept++] = c->sessions[i];
        else
            memcpy(c->buried[c->burials++ % BURIED_MAX], c->sessions[i].uuid, LAB_UUID_SIZE);
    }
    c->count = kept;
    return kept != before;
}

static void lead(struct lab_cluster *c, uint64_t now_ns, bool due)
{
    bool changed;

    c->as_of_ns = c->leader_ns = now_ns;
    changed = renew(c, c->uuid, &c->set.self, now_ns);
    c->enlisted = true;
    changed |= expire(c, now_ns);
    if (changed || due)
        send_table(c, now_ns);
}

/* --- who leads -------------------------------------------------------------------------------------------*/

/* Is there a live member whose table is newer, or as new and its number lower? As far as this one knows. */
static bool somebody_is_better(const struct lab_cluster *c, uint64_t now_ns)
{
    for (unsigned id = 1; id <= c->set.members; id++) {
        int newer = position_compare(&c->members[id].position, &c->position);

        if (id != c->set.self.id && member_is_live(c, id, now_ns) &&
            (newer > 0 || (newer == 0 && id < c->set.self.id)))
            return true;
    }
    return false;
}

static bool hears_leader(const struct lab_cluster *c, uint64_t now_ns)
{
    return now_ns - c->leader_ns <= patience_ns(c);
}

/* From the table as it was last heard; every lease starts anew, for nobody kept them meanwhile. */
static void start_leading(struct lab_cluster *c, uint64_t now_ns)
{
    c->leader = c->set.self.id;
    c->position.term = c->asked_term;
    for (size_t i = 0; i < c->count; i++)
        c->sessions[i].lease_end_ns = now_ns + c->set.lease_ns;
    lead(c, now_ns, true);
}

static void take_consent(struct lab_cluster *c, unsigned from, uint64_t now_ns)
{
    c->consents |= UINT64_C(1) << (from - 1);
    if (2 * (unsigned)__builtin_popcountll(c->consents) > c->set.members)
        start_leading(c, now_ns);
}

static void ask(struct lab_cluster *c, uint64_t now_ns)
{
    c->next_ask_ns = now_ns + c->set.heartbeat_ns / 2;
    c->asked_term = c->consented_term = ++c->highest_term;
    c->consents = 0;
    send_about_term(c, "ask", 0, c->asked_term);
    take_consent(c, c->set.self.id, now_ns);
}

static void receive_ask(struct lab_cluster *c, const cJSON *message, unsigned from, uint64_t now_ns)
{
    uint64_t term = number_of(message, "wanted_term");
    struct position theirs = position_of(message);

    if (leads(c) || hears_leader(c, now_ns) || term <= c->consented_term ||
        position_compare(&theirs, &c->position) < 0)
        return;
    c->consented_term = term;
    send_about_term(c, "consent", from, term);
}

static void receive_consent(struct lab_cluster *c, const cJSON *message, unsigned from, uint64_t now_ns)
{
    if (number_of(message, "wanted_term") == c->asked_term && !leads(c) && !hears_leader(c, now_ns))
        take_consent(c, from, now_ns);
}

void lab_cluster_tick(struct lab_cluster *c, uint64_t now_ns)
{
    bool due = now_ns >= c->next_heartbeat_ns;
    bool majority = has_majority(c, now_ns);

    if (due) {
        c->next_heartbeat_ns = now_ns + c->set.heartbeat_ns;
        send_heartbeat(c);
    }
    if (leads(c) && !majority)
        c->leader = 0;
    else if (leads(c))
        lead(c, now_ns, due);
    else if (!hears_leader(c, now_ns)) {
        c->leader = 0;
        if (majority && now_ns >= c->next_ask_ns && !somebody_is_better(c, now_ns))
            ask(c, now_ns);
    }
}

/* --- messages in -----------------------------------------------------------------------------------------*/

/* Is our session in the table? A new one, when it was taken out, be it before we saw it there. */
static void find_self(struct lab_cluster *c, uint64_t now_ns)
{
    if (session_find(c, c->uuid)) {
        c->enlisted = true;
        c->missing_ns = 0;
        return;
    }
    if (!c->missing_ns)
        c->missing_ns = now_ns;
    if (!c->enlisted && now_ns - c->missing_ns <= patience_ns(c))
        return;
    make_uuid(c->uuid);
    c->enlisted = false;
    c->missing_ns = 0;
    send_heartbeat(c);
}

static void receive_table(struct lab_cluster *c, const cJSON *message, unsigned from, uint64_t now_ns)
{
    struct position position = position_of(message);
    const cJSON *entry;

    if (position_compare(&position, &c->position) <= 0)
        return;
    c->leader = from;
    c->position = position;
    c->leader_ns = c->as_of_ns = now_ns;
    c->count = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(message, "sessions"))
    {
        struct session *s = &c->sessions[c->count];

        if (c->count == SESSIONS_MAX)
            break;
        memset(s, 0, sizeof(*s));
        copy_text(s->uuid, sizeof(s->uuid), text_of(entry, "uuid"));
        get_identity(entry, &s->who);
        copy_text(s->clients, sizeof(s->clients), text_of(entry, "clients"));
        s->born_ns = sub_sat_u64(now_ns, number_of(entry, "alive_ms") * NS_PER_MS);
        c->count++;
    }
    find_self(c, now_ns);
}

static void receive_refresh(struct lab_cluster *c, const cJSON *message, uint64_t now_ns)
{
    struct session *s = session_find(c, text_of(message, "uuid"));

    if (leads(c) && s && move_clients(c, s, text_of(message, "clients")) == 0)
        send_table(c, now_ns);
}

void lab_cluster_receive(struct lab_cluster *c, const char *text, size_t size_bytes, uint64_t now_ns)
{
    cJSON *message = cJSON_ParseWithLength(text, size_bytes);
    unsigned from = (unsigned)number_of(message, "from");
    const char *type = text_of(message, "type");

    if (from == 0 || from > c->set.members || from == c->set.self.id)
        goto out;
    c->members[from] = (struct member){.heard_ns = now_ns, .position = position_of(message)};
    c->highest_term = max_u64(c->highest_term, number_of(message, "highest_term"));
    if (leads(c) && c->members[from].position.term > c->position.term)
        c->leader = 0; /* a majority has restarted, and knows less than this member does */
    if (strcmp(type, "heartbeat") == 0) {
        struct lab_identity who;

        get_identity(message, &who);
        if (leads(c) && renew(c, text_of(message, "uuid"), &who, now_ns))
            send_table(c, now_ns);
    } else if (strcmp(type, "table") == 0) {
        receive_table(c, message, from, now_ns);
    } else if (strcmp(type, "refresh") == 0) {
        receive_refresh(c, message, now_ns);
    } else if (strcmp(type, "ask") == 0) {
        receive_ask(c, message, from, now_ns);
    } else if (strcmp(type, "consent") == 0) {
        receive_consent(c, message, from, now_ns);
    }
out:
    cJSON_Delete(message);
}

/* --- for the HTTP side -----------------------------------------------------------------------------------*/

int lab_cluster_refresh(struct lab_cluster *c, const char *uuid, const char *clients, uint64_t now_ns)
{
    struct session *s = session_find(c, uuid);
    char one[ADDRESS_TEXT_SIZE];
    const char *p = clients;
    bool ok = true, any = false;
    cJSON *message;
    int r = 0;

    while (ok && lab_clients_next(&p, one, &ok))
        any = true;
    if (!ok || !any)
        return -EINVAL;
    if (!leads(c) && (c->leader == 0 || now_ns - c->leader_ns > patience_ns(c)))
        return -EAGAIN;
    if (!s)
        return -ENOENT;
    if (leads(c)) {
        r = move_clients(c, s, clients);
        send_table(c, now_ns);
        return r;
    }
    message = message_new(c, "refresh");
    cJSON_AddStringToObject(message, "uuid", uuid);
    cJSON_AddStringToObject(message, "clients", clients);
    message_send(c, c->leader, message);
    return -EINPROGRESS;
}

uint64_t lab_cluster_version(const struct lab_cluster *c)
{
    return c->position.index;
}

int lab_cluster_refreshed(struct lab_cluster *c, const char *uuid, const char *clients, uint64_t version)
{
    const struct session *s = session_find(c, uuid);

    if (!s)
        return -ENOENT;
    return c->position.index != version && lab_clients_hold_all(s->clients, clients) ? 0 : -EINPROGRESS;
}

int lab_cluster_new(struct lab_cluster **out, const struct lab_cluster_settings *settings, uint64_t now_ns)
{
    struct lab_cluster *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->set = *settings;
    c->leader_ns = c->as_of_ns = c->next_heartbeat_ns = now_ns;
    make_uuid(c->uuid);
    *out = c;
    return 0;
}

struct lab_cluster *lab_cluster_free(struct lab_cluster *cluster)
{
    free(cluster);
    return NULL;
}

/* --- what it tells ---------------------------------------------------------------------------------------*/

cJSON *lab_cluster_list(struct lab_cluster *c, uint64_t now_ns)
{
    cJSON *list = cJSON_CreateArray();

    if (leads(c))
        c->as_of_ns = now_ns;
    for (size_t i = 0; list && i < c->count; i++) {
        const struct session *s = &c->sessions[i];
        cJSON *entry = cJSON_CreateObject();
        uint32_t ip = 0;

        inet_pton(AF_INET, s->who.ip, &ip);
        cJSON_AddStringToObject(entry, "uuid", s->uuid);
        cJSON_AddStringToObject(entry, "ip", s->who.ip);
        cJSON_AddNumberToObject(entry, "num_ip", ip);
        cJSON_AddNumberToObject(entry, "port", 10201);
        cJSON_AddNumberToObject(entry, "cid", s->who.id);
        cJSON_AddStringToObject(entry, "zone", s->who.zone);
        if (s->who.host_data[0])
            cJSON_AddStringToObject(entry, "scvm_mode_host_data_ip", s->who.host_data);
        cJSON_AddNumberToObject(entry, "alive_sec",
                                (double)(sub_sat_u64(c->as_of_ns, s->born_ns) / NS_PER_S));
        cJSON_AddStringToObject(entry, "machine_uuid", s->who.machine);
        cJSON_AddItemToArray(list, entry);
    }
    return list;
}

/* The states a session goes through, as its own member knows them. */
static const char *own_state(const struct lab_cluster *c, uint64_t now_ns)
{
    uint64_t silent_ns = now_ns - c->leader_ns;

    if (!c->enlisted)
        return "init";
    return silent_ns <= patience_ns(c) ? "keep-alive" : silent_ns <= c->set.lease_ns ? "jeopardy" : "expired";
}

cJSON *lab_cluster_state(struct lab_cluster *c, uint64_t now_ns)
{
    cJSON *state = cJSON_CreateObject(), *sessions;

    cJSON_AddNumberToObject(state, "id", c->set.self.id);
    cJSON_AddStringToObject(state, "uuid", c->uuid);
    cJSON_AddStringToObject(state, "state", own_state(c, now_ns));
    cJSON_AddNumberToObject(state, "leader", c->leader);
    cJSON_AddNumberToObject(state, "term", (double)c->position.term);
    cJSON_AddNumberToObject(state, "index", (double)c->position.index);
    sessions = cJSON_AddArrayToObject(state, "sessions");
    for (size_t i = 0; i < c->count; i++) {
        const struct session *s = &c->sessions[i];
        cJSON *entry = cJSON_CreateObject();

        cJSON_AddStringToObject(entry, "uuid", s->uuid);
        cJSON_AddNumberToObject(entry, "cid", s->who.id);
        cJSON_AddStringToObject(entry, "ip", s->who.ip);
        cJSON_AddStringToObject(entry, "clients", s->clients);
        cJSON_AddItemToArray(sessions, entry);
    }
    return state;
}
