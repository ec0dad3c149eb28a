/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the lab's cluster tells: the session list as the API has it, and its state for people and tests.
 */
#include "tools/sessiond/cluster_private.h"

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
