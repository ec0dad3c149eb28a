/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Testimony.
 *
 * Every access answers for the whole cluster, so all lists should say the same. When they do, two in a row
 * are enough: an access that is missing from both is dead. When they do not, something is wrong with the
 * cluster or with the answers, and this host cannot know what. Then lists move nothing. A dispute is like
 * silence: what was known stands, and the network evidence decides.
 *
 * Whose absence counts. Nobody is a witness for himself. An access that names itself proves nothing by it, as
 * long as another one can be asked. (An access whose own list does not have it either agrees with those who
 * miss it.)
 *
 * A dead access is no witness against others, as long as one that is not dead has answered lately. An access
 * that is cut off misses all the others, for ever. What it says for others counts: they, too, may have been
 * called dead wrongly.
 *
 * How many must agree. Two fresh lists in a row, of two different answerers where there are two. With only
 * one other node it is two lists of that one; between them the access itself is asked. The owner asks in this
 * order:
 *   - First those that the last list does not name any more. If they answer, they know better.
 *   - Then the others.
 *   - Last the one that answered last.
 *
 * When they contradict each other:
 *   - The two lists of the row deny each other's giver (each access names only itself, a cluster in pieces).
 *     If a third access vouched lately for only one of the two, the list of the other counts for nothing.
 *     Otherwise one list stands against the other, and the row begins anew.
 *   - The access answers and does not know its only accuser (two nodes, each alone): the same.
 *   - Another one's list has it again, as the same life (entries that come and go by whom one asks). It was
 *     not dead. From one list to the next of the same giver that is only a change of mind.
 * After a contradiction two lists are not enough: two more for each one, eight at most, until there was none
 * for five minutes. So a real death in such a cluster is found seconds later, and lists that change all the
 * time are not believed any more. Time alive does not satisfy stability while it is disputed.
 *
 * What cannot be known: the first two lists that agree are believed, though all others that were not asked
 * may say something else. It costs one switch; after that it is a contradiction. A minority that vouches for
 * itself is not told from the majority by counting heads: most of a cluster may really have died.
 */
#include "session/testimony.h"

#define LISTS_AGREED     2
#define LISTS_DISPUTED   2 /* for each contradiction */
#define DISPUTES_MAX     3
#define DISPUTES_OVER_NS (300 * NS_PER_S)

unsigned testimony_needed(const struct testimony *testimony, uint64_t now_ns)
{
    bool disputed = testimony->disputes && now_ns - testimony->disputed_ns <= DISPUTES_OVER_NS;

    return LISTS_AGREED + (disputed ? testimony->disputes * LISTS_DISPUTED : 0);
}

static void dispute(struct testimony *testimony, uint64_t now_ns)
{
    if (testimony_needed(testimony, now_ns) == LISTS_AGREED)
        testimony->disputes = 0;
    if (testimony->disputes < DISPUTES_MAX)
        testimony->disputes++;
    testimony->disputed_ns = now_ns;
}

/* Did somebody besides these two vouch for the witness lately? */
static bool is_vouched_for(const struct witness *witness, const struct address *one,
                           const struct address *other, uint64_t now_ns, uint64_t vouch_ns)
{
    for (size_t i = 0; i < ARRAY_SIZE(witness->credit->vouches); i++) {
        const struct vouch *vouch = &witness->credit->vouches[i];

        if (address_is_set(&vouch->by) && now_ns - vouch->at_ns <= vouch_ns &&
            !address_equal(&vouch->by, one) && !address_equal(&vouch->by, other))
            return true;
    }
    return false;
}

/* Do the accuser's last list and this one deny each other's giver? Who does not name himself denies nobody.
 */
static bool deny_each_other(const struct testimony *testimony, const struct witness *accuser,
                            const struct witness *witness)
{
    if (!accuser->credit || !witness->credit || address_equal(accuser->who, witness->who))
        return false;
    return (!accuser->is_listed && accuser->credit->names_itself) ||
           (witness->is_listed && witness->credit->denied &&
            witness->credit->denied_ns >= testimony->missed_ns &&
            address_equal(&witness->credit->denied_by, accuser->who));
}

static bool add_to_row(struct testimony *testimony, const struct address *by, uint64_t now_ns)
{
    unsigned needed = testimony_needed(testimony, now_ns);

    testimony->by = *by;
    testimony->missed_ns = now_ns;
    if (testimony->missing < needed)
        testimony->missing++;
    return testimony->missing >= needed;
}

bool testimony_against(struct testimony *testimony, const struct witness *accuser,
                       const struct witness *witness, const struct address *self, uint64_t now_ns,
                       uint64_t vouch_ns, bool *disputed)
{
    *disputed = false;
    if (testimony->missing && deny_each_other(testimony, accuser, witness)) {
        bool accuser_good = is_vouched_for(accuser, witness->who, self, now_ns, vouch_ns);
        bool witness_good = is_vouched_for(witness, accuser->who, self, now_ns, vouch_ns);

        if (accuser_good && !witness_good)
            return false;
        testimony->missing = 0;
        *disputed = accuser_good == witness_good;
    }
    if (*disputed)
        dispute(testimony, now_ns);
    return add_to_row(testimony, witness->who, now_ns);
}

bool testimony_own(struct testimony *testimony, const struct witness *accuser, bool names_itself,
                   const struct address *self, uint64_t now_ns, uint64_t vouch_ns, bool *disputed)
{
    testimony->names_itself = names_itself;
    *disputed = false;
    if (!testimony->missing)
        return false;
    if (!names_itself && (!accuser->credit || accuser->is_listed)) {
        struct address by = testimony->by;

        return add_to_row(testimony, &by, now_ns);
    }
    if (names_itself && accuser->credit && !accuser->is_listed && accuser->credit->names_itself &&
        !is_vouched_for(accuser, self, self, now_ns, vouch_ns)) {
        *disputed = true;
        testimony->missing = 0;
        dispute(testimony, now_ns);
    }
    return false;
}

bool testimony_for(struct testimony *testimony, const struct witness *witness, bool same_life,
                   uint64_t now_ns)
{
    bool contradicts = testimony->missing && same_life && address_is_set(witness->who) &&
                       address_is_set(&testimony->by) && !address_equal(witness->who, &testimony->by);

    if (contradicts)
        dispute(testimony, now_ns);
    testimony->missing = 0;
    return contradicts;
}

void testimony_credit(struct testimony *testimony, const struct address *by, bool listed, uint64_t now_ns)
{
    struct vouch *vouches = testimony->vouches;

    if (!listed) {
        testimony->denied = true;
        testimony->denied_by = *by;
        testimony->denied_ns = now_ns;
        return;
    }
    if (!address_is_set(by))
        return;
    if (!address_equal(by, &vouches[0].by))
        vouches[1] = vouches[0];
    vouches[0] = (struct vouch){.by = *by, .at_ns = now_ns};
}
