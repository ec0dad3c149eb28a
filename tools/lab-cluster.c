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
 * Leading takes a majority, counted by heartbeats heard. A leader that hears no majority steps down, well
 * before it would have taken the others out. When there is no leader for five heartbeats, the member with the
 * newest table leads, of equals the lowest number; so a restarted member with its empty table never does
 * while a better one lives. A leader that is heard stays.
 *
 * A session that was taken out never comes back: its member sees a table without itself and takes a new
 * uuid. A member that restarts within the lease is in the list twice until the old lease is over.
 *
 * Time is an argument, messages are JSON text, nothing here knows a socket. Deliberately not done: votes and
 * logs. A network that is cut between some pairs of members and not others may for a moment have two leaders
 * (the higher term, then the lower number, wins); the lab's cuts take whole members off.
 */
#include "tools/lab-cluster.h"

#include "tools/lab-clients.h"

#include <cjson/cJSON.h>
#include <sys/random.h>

#define SESSIONS_MAX 256
#define BURIED_MAX   64

struct session {
    char uuid[LAB_UUID_SIZE];
    struct lab_identity who;
    char clients[LAB_CLIENTS_SIZE]; /* comma-separated */
    uint64_t born_ns;
    uint64_t lease_end_ns; /* kept by the leader */
};

struct member {
    uint64_t heard_ns; /* last heartbeat; 0: never */
    uint64_t term, version;
};

struct lab_cluster {
    struct lab_cluster_settings set;
    char uuid[LAB_UUID_SIZE]; /* of this member's own session */
    bool enlisted;            /* that uuid has been in the table */
    struct member members[LAB_MEMBERS_MAX + 1];

    struct session sessions[SESSIONS_MAX];
    size_t count;
    uint64_t term, version;
    uint64_t as_of_ns;  /* the table is what was known then */
    unsigned leader;    /* 0: none */
    uint64_t leader_ns; /* last heard of it; the start, when never */
    uint64_t next_heartbeat_ns;
    char buried[BURIED_MAX][LAB_UUID_SIZE]; /* taken out: not let in again */
    size_t burials;
};

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

static uint64_t patience_ns(const struct lab_cluster *c)
{
    return 5 * c->set.heartbeat_ns;
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

static bool leads(const struct lab_cluster *c)
{
    return c->leader == c->set.self.id;
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
    cJSON_AddNumberToObject(message, "term", (double)c->term);
    cJSON_AddNumberToObject(message, "version", (double)c->version);
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

static void send_table(struct lab_cluster *c, uint64_t now_ns)
{
    cJSON *message, *sessions;

    c->version++;
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

/* Is there a live member whose table is newer, or as new and its number lower? */
static bool somebody_is_better(const struct lab_cluster *c, uint64_t now_ns)
{
    for (unsigned id = 1; id <= c->set.members; id++) {
        const struct member *m = &c->members[id];

        if (id == c->set.self.id || !member_is_live(c, id, now_ns))
            continue;
        if (m->term != c->term ? m->term > c->term
                               : (m->version != c->version ? m->version > c->version : id < c->set.self.id))
            return true;
    }
    return false;
}

/* From the table as it was last heard; every lease starts anew, for nobody kept them meanwhile. */
static void start_leading(struct lab_cluster *c, uint64_t now_ns)
{
    c->leader = c->set.self.id;
    c->term++;
    for (size_t i = 0; i < c->count; i++)
        c->sessions[i].lease_end_ns = now_ns + c->set.lease_ns;
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
    else if (!leads(c) && now_ns - c->leader_ns > patience_ns(c)) {
        c->leader = 0;
        if (majority && !somebody_is_better(c, now_ns))
            start_leading(c, now_ns);
    }
    if (leads(c))
        lead(c, now_ns, due);
}

/* --- messages in -----------------------------------------------------------------------------------------*/

static void receive_table(struct lab_cluster *c, const cJSON *message, unsigned from, uint64_t now_ns)
{
    uint64_t term = number_of(message, "term"), version = number_of(message, "version");
    const cJSON *entry;

    if (term < c->term || (term == c->term && leads(c) && from > c->set.self.id) ||
        (term == c->term && from == c->leader && version <= c->version))
        return;
    c->leader = from;
    c->term = term;
    c->version = version;
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
    if (session_find(c, c->uuid)) {
        c->enlisted = true;
    } else if (c->enlisted) {
        make_uuid(c->uuid); /* our session was taken out */
        c->enlisted = false;
        send_heartbeat(c);
    }
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
    if (strcmp(type, "heartbeat") == 0) {
        struct lab_identity who;

        get_identity(message, &who);
        c->members[from] = (struct member){
            .heard_ns = now_ns, .term = number_of(message, "term"), .version = number_of(message, "version")};
        if (leads(c) && renew(c, text_of(message, "uuid"), &who, now_ns))
            send_table(c, now_ns);
    } else if (strcmp(type, "table") == 0) {
        receive_table(c, message, from, now_ns);
    } else if (strcmp(type, "refresh") == 0) {
        receive_refresh(c, message, now_ns);
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
    return c->version;
}

int lab_cluster_refreshed(struct lab_cluster *c, const char *uuid, const char *clients, uint64_t version)
{
    const struct session *s = session_find(c, uuid);

    if (!s)
        return -ENOENT;
    return c->version != version && lab_clients_hold_all(s->clients, clients) ? 0 : -EINPROGRESS;
}

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
    cJSON_AddNumberToObject(state, "term", (double)c->term);
    cJSON_AddNumberToObject(state, "version", (double)c->version);
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
