/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Liveness: what a history of lists means for each access. The rules are in liveness.h; here is how they are
 * kept, and why.
 *
 * One list proves little. It may come
 *   - from a follower that is a moment behind;
 *   - from an access that is cut off and does not know it;
 *   - from a cluster that has just lost its leader.
 * So each list is read twice. list_weigh() asks about the whole list: is it news? read_accesses() asks about
 * each access: what does the list say of it?
 *
 * IS IT NEWS?
 * Every session has its own clock, alive_sec. All values of a list were taken at one moment. pulse.c says
 * what a value means after the values before it. A list's witnesses are sessions that we know: of those that
 * the list names, the ones that a fresh list named last.
 *
 *   the list has                             verdict
 *   no entries                               EMPTY: a leader is being elected
 *   a witness that has moved on              FRESH
 *   witnesses, and none has moved on         STALE
 *   no session that we know                  FRESH: the first list, or all began anew (a power failure)
 *   no alive_sec at all (old releases)       FRESH: nothing to tell it by
 *
 * EMPTY and STALE lists say nothing. A list is stale when
 *   - it was seen before, or an older answer overtook it;
 *   - a follower lags (its values are smaller);
 *   - two polls came within one second;
 *   - the cluster's clock stepped.
 *
 * A session that was replaced or has died stays known. So an old list does not become news by naming the
 * dead. But its value is old: sessions that were seen since are better witnesses.
 *
 * An exception: the access that answered. Its own value may move while the rest of its list is frozen. So
 * its moving on counts only when there is no other witness. For example node1 is cut off; its lists have
 * node1 at 100, 102, 104 s and node2 at 500, 500, 500 s. node2 is a witness and stands still: STALE.
 *
 * WHAT DOES IT SAY?
 * A fresh list
 *   - has an entry: the access is alive;
 *   - has none, the first time in a row: the access is as before, and `missing` tells the owner to ask again
 *     (the list may have been taken in the middle of something);
 *   - has none, the second time in a row: the access is dead.
 * An expected access that no list ever named is no better: two lists make it dead too.
 *
 * An exception: the access that answered proves nothing about itself while another one could be asked.
 *
 * Two lists are enough when they agree. When they contradict each other they are like silence: they move
 * nothing, and time alive does not become stability meanwhile. testimony.c says what a contradiction is, who
 * is believed, and how many lists it takes then.
 *
 * LIVES
 * A life begins
 *   - at first sight (the only one that is no restart);
 *   - with a uuid that was not seen before;
 *   - with a birth (now - alive_sec) that moved later by more than 15 s;
 *   - with the return of the dead.
 *
 * Its birth is
 *   - with alive_sec: the earliest one heard of this life, for alive_sec is whole seconds and lags behind;
 *   - without alive_sec: the moment at which we first see it.
 * After a new uuid or a return the birth is not before the last moment at which we know better (the old uuid
 * was still listed, the access was missing), whatever alive_sec says.
 *
 * Four things look like a restart and must not count:
 *   - A later list takes the move back that made a restart. Then there was none.
 *   - Clocks run differently, and move a birth by 15 s in days. The restart's time is its birth, which is
 *     days ago: restarts are counted over five minutes.
 *   - The cluster's clock stepped. That is no restart, and makes nobody older than he was known to be.
 *   - A uuid that was replaced shows up again. It is taken, since the cluster decides which one counts, but
 *     begins no life: two sessions of one address that are listed in turn are no endless row of restarts.
 *
 * Of several entries with one address the smaller alive_sec is the new session. If that does not decide it,
 * it is the one that we have not seen before.
 *
 * STABILITY
 * Stable is a life of `hold`.
 *   - Between lists time goes on, for fresh_for_ns after each. So an access is stable at birth + hold, not at
 *     the next poll.
 *   - In a longer silence time stands still, and nothing is unlearnt: alive, stable and dead stay so.
 *   - When lists come again, a birth by alive_sec counts the silence as life: the cluster vouches for it. To
 *     the birth of a life without alive_sec the silence is added.
 *
 * WHO IS WHO
 * An access is known by its data address, or by its secondary one where one of the two lists has no data
 * address. At most ACCESSES_MAX are kept, for a service that makes up addresses must not eat our memory. When
 * that many are reached, the dead that nobody expects are forgotten. If that does not help, newcomers are
 * left out.
 */
#include "session/liveness.h"

#include "session/pulse.h"
#include "session/testimony.h"

#define RESTART_SLACK_NS PULSE_SLACK_NS
#define RESTARTS_OVER_NS (300 * NS_PER_S)
#define VOUCH_LISTS      6 /* a good word for a witness counts for so many times fresh_for_ns */
#define LIVES_MAX        8
#define ACCESSES_MAX     2048

/* One session of an access, as far back as we remember. */
struct life {
    char uuid[SESSION_UUID_SIZE];
    struct pulse pulse;
    uint64_t seen_ns;    /* when it was last in a fresh list */
    uint64_t restart_ns; /* its birth, if that was a restart; NEVER_NS: it was not */
};

struct access {
    enum session_state state;     /* UNKNOWN, ALIVE or DEAD; stable depends on when one asks */
    struct session last;          /* the entry that counts now, or the last one */
    struct life lives[LIVES_MAX]; /* newest first; lives[0] is the one that counts */
    unsigned life_count;
    int64_t earliest_ns; /* the birth is not before this, whatever alive_sec says */
    int64_t born_ns;     /* may be before the clock began */
    int64_t settled_ns;  /* when lists contradicted each other about it, before it was stable */
    uint64_t heard_ns;   /* last fresh list that had it */
    uint64_t first_ns;
    bool expected; /* it is missed though no list ever had it */
    bool listed;   /* some list has had it */
    struct testimony testimony;
    const struct session *entry; /* its entry in the list at hand */
};

struct session_liveness {
    struct session_liveness_settings settings;
    struct access *accesses;
    size_t count;
    uint64_t fresh_ns;
    uint64_t living_ns; /* the last fresh list of somebody who was not dead; NEVER_NS: none yet */
};

int session_liveness_new(struct session_liveness **out, const struct session_liveness_settings *settings)
{
    struct session_liveness *liveness = calloc(1, sizeof(*liveness));

    if (!liveness)
        return -ENOMEM;
    liveness->settings = *settings;
    liveness->fresh_ns = liveness->living_ns = NEVER_NS;
    *out = liveness;
    return 0;
}

struct session_liveness *session_liveness_free(struct session_liveness *liveness)
{
    if (liveness)
        free(liveness->accesses);
    free(liveness);
    return NULL;
}

void session_liveness_configure(struct session_liveness *liveness,
                                const struct session_liveness_settings *settings)
{
    liveness->settings = *settings;
}

uint64_t session_liveness_fresh_ns(const struct session_liveness *liveness)
{
    return liveness->fresh_ns;
}

/* --- who is who ---------------------------------------------------------------------------------------- */

static struct access *access_find(const struct session_liveness *liveness, const struct address *data,
                                  const struct address *secondary)
{
    for (size_t i = 0; address_is_set(data) && i < liveness->count; i++) {
        if (address_equal(&liveness->accesses[i].last.data, data))
            return &liveness->accesses[i];
    }
    for (size_t i = 0; address_is_set(secondary) && i < liveness->count; i++) {
        const struct session *last = &liveness->accesses[i].last;

        if (address_equal(&last->secondary, secondary) &&
            (!address_is_set(data) || !address_is_set(&last->data)))
            return &liveness->accesses[i];
    }
    return NULL;
}

static bool entry_is_of(const struct session *entry, const struct address *origin)
{
    return address_is_set(origin) &&
           address_equal(address_is_set(&entry->data) ? &entry->data : &entry->secondary, origin);
}

/* The life with this uuid; the newest one if it began anew under the same uuid. NULL: never seen. */
static struct life *life_find(struct access *access, const char *uuid)
{
    for (unsigned i = 0; i < access->life_count; i++) {
        if (strcmp(access->lives[i].uuid, uuid) == 0)
            return &access->lives[i];
    }
    return NULL;
}

static int64_t birth_ns(const struct session *entry, uint64_t now_ns)
{
    return pulse_birth_ns(entry->alive_sec, now_ns);
}

static bool birth_moved(const struct access *access, const struct session *entry, uint64_t now_ns)
{
    return birth_ns(entry, now_ns) > access->born_ns + (int64_t)RESTART_SLACK_NS;
}

/* --- is it news? --------------------------------------------------------------------------------------- */

/* Of the known sessions in a list: when was the one last seen that was seen latest, and has it moved on? */
struct latest {
    bool known;
    bool moved;
    uint64_t seen_ns;
};

static void latest_add(struct latest *latest, uint64_t seen_ns, bool moved)
{
    if (!latest->known || seen_ns > latest->seen_ns)
        *latest = (struct latest){.known = true, .moved = moved, .seen_ns = seen_ns};
    else if (seen_ns == latest->seen_ns)
        latest->moved |= moved;
}

static enum session_verdict list_weigh(struct session_liveness *liveness, const struct session_list *list,
                                       const struct address *origin, bool others_up, uint64_t now_ns)
{
    struct latest others = {0}, self = {0};

    if (list->count == 0)
        return SESSION_LIST_EMPTY;
    for (size_t i = 0; i < list->count; i++) {
        const struct session *entry = &list->items[i];
        struct access *access = access_find(liveness, &entry->data, &entry->secondary);
        struct life *life = access ? life_find(access, entry->uuid) : NULL;

        enum pulse_word word;
        bool moved;

        if (!life || !entry->has_alive_sec || !life->pulse.heard)
            continue;
        pulse_note(&life->pulse, entry->alive_sec, now_ns);
        word = pulse_read(&life->pulse, entry->alive_sec, now_ns, liveness->fresh_ns);
        moved = word != PULSE_STILL && word != PULSE_DOUBTED;
        latest_add(others_up && moved && entry_is_of(entry, origin) ? &self : &others, life->seen_ns, moved);
    }
    if (!others.known)
        others = self;
    return !others.known || others.moved ? SESSION_LIST_FRESH : SESSION_LIST_STALE;
}

/* --- what does it say of each access? ------------------------------------------------------------------ */

/* Of two entries with one address: is b the newer session? */
static bool entry_is_newer(struct access *access, const struct session *a, const struct session *b)
{
    if (a->has_alive_sec && b->has_alive_sec && a->alive_sec != b->alive_sec)
        return b->alive_sec < a->alive_sec;
    return life_find(access, a->uuid) && !life_find(access, b->uuid);
}

/* Gives every access its entry; makes the accesses that are new. There is room for them. */
static void entries_assign(struct session_liveness *liveness, const struct session_list *list,
                           uint64_t now_ns)
{
    for (size_t i = 0; i < liveness->count; i++)
        liveness->accesses[i].entry = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct session *entry = &list->items[i];
        struct access *access = access_find(liveness, &entry->data, &entry->secondary);

        if (!access) {
            if (liveness->count == ACCESSES_MAX)
                continue;
            access = &liveness->accesses[liveness->count++];
            *access = (struct access){
                .state = SESSION_UNKNOWN, .last = *entry, .settled_ns = INT64_MIN, .first_ns = now_ns};
            access->last.uuid[0] = '\0';
        }
        if (!access->entry || entry_is_newer(access, access->entry, entry))
            access->entry = entry;
    }
}

/* Addresses and zone; an address that is not said this time is kept. */
static void access_describe(struct access *access)
{
    struct session last = *access->entry;

    if (!address_is_set(&last.data))
        last.data = access->last.data;
    if (!address_is_set(&last.secondary))
        last.secondary = access->last.secondary;
    if (!address_is_set(&last.host_data))
        last.host_data = access->last.host_data;
    access->last = last;
}

static void life_begin(struct access *access)
{
    memmove(&access->lives[1], &access->lives[0], (LIVES_MAX - 1) * sizeof(access->lives[0]));
    if (access->life_count < LIVES_MAX)
        access->life_count++;
    access->lives[0] = (struct life){.restart_ns = NEVER_NS};
    memcpy(access->lives[0].uuid, access->entry->uuid, SESSION_UUID_SIZE);
}

/* Makes an older life the one that counts again. */
static void life_resume(struct access *access, struct life *life)
{
    struct life resumed = *life;

    memmove(&access->lives[1], &access->lives[0], (size_t)(life - access->lives) * sizeof(*life));
    access->lives[0] = resumed;
}

/* How far time alive has come by now: silence does not count. */
static uint64_t lived_until_ns(const struct session_liveness *liveness, const struct access *access,
                               uint64_t now_ns)
{
    return min_u64(now_ns, add_sat_u64(access->heard_ns, liveness->settings.fresh_for_ns));
}

/* Since when its life has been undisputed. */
static int64_t steady_since_ns(const struct access *access)
{
    return access->born_ns > access->settled_ns ? access->born_ns : access->settled_ns;
}

static bool access_is_stable(const struct session_liveness *liveness, const struct access *access,
                             uint64_t now_ns)
{
    int64_t lived_ns = (int64_t)lived_until_ns(liveness, access, now_ns) - steady_since_ns(access);

    return access->state == SESSION_ALIVE && lived_ns >= 0 &&
           (uint64_t)lived_ns >= liveness->settings.hold_ns;
}

/* The first life that lists tell of; of one that was dead so far it begins after that. No restart. */
static void life_first(struct access *access, uint64_t now_ns)
{
    access->life_count = 0; /* what it said of itself */
    life_begin(access);
    access->earliest_ns = access->state == SESSION_DEAD ? (int64_t)access->testimony.missed_ns : INT64_MIN;
    access->born_ns = access->entry->has_alive_sec ? birth_ns(access->entry, now_ns) : (int64_t)now_ns;
    if (access->born_ns < access->earliest_ns)
        access->born_ns = access->earliest_ns;
}

/* A new life, which cannot have begun before `known_ns` (by more than slack_ns: lists lag). */
static void life_restart(struct access *access, uint64_t known_ns, uint64_t slack_ns, uint64_t now_ns)
{
    life_begin(access);
    access->earliest_ns = (int64_t)known_ns - (int64_t)slack_ns;
    access->born_ns = access->entry->has_alive_sec ? birth_ns(access->entry, now_ns) : (int64_t)now_ns;
    if (access->born_ns < access->earliest_ns)
        access->born_ns = access->earliest_ns = (int64_t)known_ns;
    access->lives[0].restart_ns = access->born_ns > 0 ? (uint64_t)access->born_ns : 0;
}

/* A new life under the same uuid. */
static void life_renew(struct access *access, uint64_t now_ns)
{
    life_begin(access);
    access->born_ns = birth_ns(access->entry, now_ns);
    access->lives[0].restart_ns = access->born_ns > 0 ? (uint64_t)access->born_ns : 0;
}

/* The birth went back by as much as it had moved: that was no restart, but a list older than it looked. */
static void life_renewal_undo(struct access *access)
{
    if (access->life_count < 2 || strcmp(access->lives[0].uuid, access->lives[1].uuid) != 0)
        return;
    access->lives[0].restart_ns = access->lives[1].restart_ns;
    memmove(&access->lives[1], &access->lives[2], (LIVES_MAX - 2) * sizeof(access->lives[0]));
    access->life_count--;
}

/* The same life goes on: what is its birth by now? */
static void birth_follow(const struct session_liveness *liveness, struct access *access, uint64_t now_ns)
{
    int64_t heard_ns = birth_ns(access->entry, now_ns);

    if (!access->entry->has_alive_sec) {
        /* The silence between the lists is not life that we have seen. */
        if (!access_is_stable(liveness, access, now_ns))
            access->born_ns += (int64_t)(now_ns - lived_until_ns(liveness, access, now_ns));
        return;
    }
    if (heard_ns < access->earliest_ns)
        heard_ns = access->earliest_ns;
    if (heard_ns + (int64_t)RESTART_SLACK_NS < access->born_ns)
        life_renewal_undo(access);
    if (heard_ns < access->born_ns)
        access->born_ns = heard_ns;
}

/* A clock that stepped makes nobody older than he was known to be. */
static void birth_step(struct access *access, uint64_t now_ns)
{
    int64_t heard_ns = birth_ns(access->entry, now_ns);

    if (heard_ns > access->born_ns)
        access->born_ns = heard_ns;
    access->earliest_ns = access->born_ns;
}

/* Is this the birth of before a renewal, which then was none? */
static bool birth_is_back(const struct access *access, uint64_t now_ns)
{
    return access->life_count > 1 && strcmp(access->lives[0].uuid, access->lives[1].uuid) == 0 &&
           birth_ns(access->entry, now_ns) <= access->lives[1].pulse.birth_ns + (int64_t)RESTART_SLACK_NS;
}

/* Goes on with the life that counts, or begins it anew. False: the entry's alive_sec is not believed. */
static bool life_go_on(const struct session_liveness *liveness, struct access *access, uint64_t now_ns)
{
    const struct session *entry = access->entry;
    const struct pulse *pulse = &access->lives[0].pulse;
    enum pulse_word word =
        entry->has_alive_sec ? pulse_read(pulse, entry->alive_sec, now_ns, liveness->fresh_ns) : PULSE_MOVED;

    if (word == PULSE_STEPPED)
        birth_step(access, now_ns);
    else if (word == PULSE_DOUBTED && birth_ns(entry, now_ns) < pulse->birth_ns &&
             !birth_is_back(access, now_ns))
        return false;
    else if (entry->has_alive_sec && birth_moved(access, entry, now_ns))
        life_renew(access, now_ns);
    else
        birth_follow(liveness, access, now_ns);
    return true;
}

/* A fresh list has the access, and may be believed about it. */
static void access_seen(const struct session_liveness *liveness, struct access *access, uint64_t now_ns)
{
    const struct session *entry = access->entry;
    struct life *life = life_find(access, entry->uuid);
    bool believed = true;

    if (!access->listed)
        life_first(access, now_ns);
    else if (access->state == SESSION_DEAD)
        life_restart(access, access->testimony.missed_ns, 0, now_ns);
    else if (!life)
        life_restart(access, access->heard_ns, RESTART_SLACK_NS, now_ns);
    else if (life != &access->lives[0])
        life_resume(access, life);
    else
        believed = life_go_on(liveness, access, now_ns);
    if (entry->has_alive_sec && believed)
        pulse_follow(&access->lives[0].pulse, entry->alive_sec, now_ns);
    access->lives[0].seen_ns = now_ns;
    access_describe(access);
    access->state = SESSION_ALIVE;
    access->listed = true;
    access->heard_ns = now_ns;
}

/*
 * Its own word: good for the age of the list, and, until somebody vouches for it, for knowing of it and which
 * session to name.
 */
static void access_claimed(const struct session_liveness *liveness, struct access *access, uint64_t now_ns)
{
    const struct session *entry = access->entry;
    struct life *life;

    if (!access->listed) {
        access->life_count = 0;
        life_begin(access);
        access_describe(access);
    }
    life = life_find(access, entry->uuid);
    if (!life || !entry->has_alive_sec)
        return;
    if (pulse_read(&life->pulse, entry->alive_sec, now_ns, liveness->fresh_ns) != PULSE_DOUBTED)
        pulse_follow(&life->pulse, entry->alive_sec, now_ns);
    life->seen_ns = now_ns;
}

/* --- who says so? -------------------------------------------------------------------------------------- */

struct reading {
    struct session_liveness *liveness;
    const struct address *origin;
    bool others_up;
    bool accuses; /* what is not in the list is missing from it; false: its giver is dead */
    uint64_t now_ns;
    uint64_t vouch_ns;
};

static struct witness witness_of(const struct reading *reading, const struct address *who)
{
    struct access *access = address_is_set(who) ? access_find(reading->liveness, who, who) : NULL;

    return (struct witness){
        .who = who,
        .credit = access ? &access->testimony : NULL,
        .is_listed = access && access->entry,
    };
}

static const struct address *access_key(const struct access *access)
{
    return address_is_set(&access->last.data) ? &access->last.data : &access->last.secondary;
}

static void access_disputed(const struct reading *reading, struct access *access)
{
    if (!access_is_stable(reading->liveness, access, reading->now_ns))
        access->settled_ns = (int64_t)reading->now_ns;
}

/* Does the entry go on with the life that was missed? */
static bool is_same_life(struct access *access, uint64_t now_ns)
{
    const struct session *entry = access->entry;

    return access->life_count && strcmp(access->lives[0].uuid, entry->uuid) == 0 &&
           !(entry->has_alive_sec && birth_moved(access, entry, now_ns));
}

static void read_of_another(const struct reading *reading, struct access *access)
{
    struct address by = access->testimony.by;
    struct witness accuser = witness_of(reading, &by), witness = witness_of(reading, reading->origin);
    bool disputed, dead;

    if (access->entry) {
        if (access->testimony.missing)
            access->first_ns = reading->now_ns;
        disputed = testimony_for(&access->testimony, &witness, is_same_life(access, reading->now_ns),
                                 reading->now_ns);
        access_seen(reading->liveness, access, reading->now_ns);
        if (disputed)
            access_disputed(reading, access);
        return;
    }
    if (!reading->accuses)
        return;
    dead = testimony_against(&access->testimony, &accuser, &witness, access_key(access), reading->now_ns,
                             reading->vouch_ns, &disputed);
    if (disputed)
        access_disputed(reading, access);
    if (dead)
        access->state = SESSION_DEAD;
}

static void read_of_itself(const struct reading *reading, struct access *access)
{
    struct address by = access->testimony.by;
    struct witness accuser = witness_of(reading, &by);
    bool disputed;

    /* Nobody has named it yet, and neither does it: that is as good as another's word. */
    if (!access->life_count && !access->entry) {
        read_of_another(reading, access);
        return;
    }
    if (testimony_own(&access->testimony, &accuser, access->entry, access_key(access), reading->now_ns,
                      reading->vouch_ns, &disputed))
        access->state = SESSION_DEAD;
    if (disputed)
        access_disputed(reading, access);
    if (access->entry)
        access_claimed(reading->liveness, access, reading->now_ns);
}

static bool is_origin(const struct reading *reading, const struct access *access)
{
    return entry_is_of(access->entry ? access->entry : &access->last, reading->origin);
}

static void read_accesses(const struct reading *reading)
{
    struct session_liveness *liveness = reading->liveness;

    for (size_t i = 0; i < liveness->count; i++) {
        struct access *access = &liveness->accesses[i];

        if (reading->others_up && is_origin(reading, access))
            read_of_itself(reading, access);
        else
            read_of_another(reading, access);
    }
    for (size_t i = 0; i < liveness->count; i++) {
        struct access *access = &liveness->accesses[i];

        if (is_origin(reading, access))
            access->testimony.names_itself = access->entry;
        else if (access->entry || reading->accuses)
            testimony_credit(&access->testimony, reading->origin, access->entry, reading->now_ns);
        access->entry = NULL;
    }
}

/* The dead one's list accuses nobody while others answer. Notes when one of them did. */
static bool giver_accuses(struct session_liveness *liveness, const struct address *origin, bool others_up,
                          uint64_t now_ns, uint64_t vouch_ns)
{
    const struct access *giver = address_is_set(origin) ? access_find(liveness, origin, origin) : NULL;

    if (!giver || giver->state != SESSION_DEAD) {
        liveness->living_ns = now_ns;
        return true;
    }
    return !others_up || liveness->living_ns == NEVER_NS || now_ns - liveness->living_ns > vouch_ns;
}

/* Room for a list's accesses, whatever it says. */
static int accesses_reserve(struct session_liveness *liveness, size_t more)
{
    size_t kept = 0;
    struct access *accesses;

    if (liveness->count + more > ACCESSES_MAX) {
        for (size_t i = 0; i < liveness->count; i++) {
            if (liveness->accesses[i].state != SESSION_DEAD || liveness->accesses[i].expected)
                liveness->accesses[kept++] = liveness->accesses[i];
        }
        liveness->count = kept;
    }
    accesses =
        reallocarray(liveness->accesses, min_u64(liveness->count + more, ACCESSES_MAX), sizeof(*accesses));
    if (!accesses)
        return -ENOMEM;
    liveness->accesses = accesses;
    return 0;
}

int session_liveness_observe(struct session_liveness *liveness, const struct session_list *list,
                             const struct address *origin, bool others_up, uint64_t now_ns,
                             enum session_verdict *verdict)
{
    uint64_t vouch_ns = VOUCH_LISTS * liveness->settings.fresh_for_ns;

    if (list->count && accesses_reserve(liveness, list->count) < 0)
        return -ENOMEM;
    *verdict = list_weigh(liveness, list, origin, others_up, now_ns);
    if (*verdict != SESSION_LIST_FRESH)
        return 0;

    entries_assign(liveness, list, now_ns);
    read_accesses(&(struct reading){
        .liveness = liveness,
        .origin = origin,
        .others_up = others_up,
        .accuses = giver_accuses(liveness, origin, others_up, now_ns, vouch_ns),
        .now_ns = now_ns,
        .vouch_ns = vouch_ns,
    });
    liveness->fresh_ns = now_ns;
    return 0;
}

int session_liveness_expect(struct session_liveness *liveness, const struct address *data,
                            const struct address *secondary)
{
    struct access *access = access_find(liveness, data, secondary);
    int r;

    if (!access) {
        r = accesses_reserve(liveness, 1);
        if (r < 0)
            return r;
        if (liveness->count == ACCESSES_MAX)
            return -ENOSPC;
        access = &liveness->accesses[liveness->count++];
        *access = (struct access){.settled_ns = INT64_MIN, .last = {.data = *data, .secondary = *secondary}};
    }
    access->expected = true;
    return 0;
}

void session_liveness_expect_no_more(struct session_liveness *liveness, const struct address *data,
                                     const struct address *secondary)
{
    struct access *access = access_find(liveness, data, secondary);

    if (access)
        access->expected = false;
}

void session_liveness_restore_dead(struct session_liveness *liveness, const struct address *data,
                                   const struct address *secondary, uint64_t missed_ns)
{
    struct access *access = access_find(liveness, data, secondary);

    if (!access || access->state != SESSION_UNKNOWN)
        return;
    access->state = SESSION_DEAD;
    access->testimony.missing = testimony_needed(&access->testimony, missed_ns);
    access->testimony.missed_ns = missed_ns;
}

/* --- asking -------------------------------------------------------------------------------------------- */

/* While lists contradict each other about it nobody knows when it will be stable. */
static bool is_unsettled(const struct session_liveness *liveness, const struct access *access,
                         uint64_t now_ns)
{
    int64_t over_ns = (int64_t)(VOUCH_LISTS * liveness->settings.fresh_for_ns);

    return access->settled_ns != INT64_MIN && (int64_t)now_ns - access->settled_ns <= over_ns;
}

static void view_fill(const struct session_liveness *liveness, const struct access *access, uint64_t now_ns,
                      struct session_view *view)
{
    uint64_t lived_ns = lived_until_ns(liveness, access, now_ns);

    *view = (struct session_view){
        .state = access->state,
        .data = access->last.data,
        .secondary = access->last.secondary,
        .host_data = access->last.host_data,
        .stable_at_ns = NEVER_NS,
        .expected = access->expected,
        .first_ns = access->first_ns,
        .listed = access->life_count > 0,
        .missing = access->testimony.missing,
        .missed_ns = access->testimony.missed_ns,
        .newly_missing = access->testimony.missing == 1 && access->testimony.missed_ns == liveness->fresh_ns,
    };
    memcpy(view->uuid, access->last.uuid, sizeof(view->uuid));
    memcpy(view->zone, access->last.zone, sizeof(view->zone));
    for (unsigned i = 0; i < access->life_count; i++)
        view->restarts += access->lives[i].restart_ns != NEVER_NS &&
                          sub_sat_u64(now_ns, access->lives[i].restart_ns) <= RESTARTS_OVER_NS;
    if (access->state != SESSION_ALIVE)
        return;
    view->born_ns = access->born_ns > 0 ? (uint64_t)access->born_ns : 0;
    if (access_is_stable(liveness, access, now_ns))
        view->state = SESSION_STABLE;
    if (view->state == SESSION_STABLE || (lived_ns == now_ns && !is_unsettled(liveness, access, now_ns))) {
        int64_t at_ns = steady_since_ns(access) + (int64_t)liveness->settings.hold_ns;

        view->stable_at_ns = at_ns > 0 ? (uint64_t)at_ns : 0;
    }
}

void session_liveness_view(const struct session_liveness *liveness, const struct address *data,
                           const struct address *secondary, uint64_t now_ns, struct session_view *view)
{
    const struct access *access = access_find(liveness, data, secondary);

    if (access)
        view_fill(liveness, access, now_ns, view);
    else
        *view = (struct session_view){.state = SESSION_UNKNOWN, .stable_at_ns = NEVER_NS};
}

bool session_liveness_at(const struct session_liveness *liveness, size_t i, uint64_t now_ns,
                         struct session_view *view)
{
    if (i >= liveness->count)
        return false;
    view_fill(liveness, &liveness->accesses[i], now_ns, view);
    return true;
}
