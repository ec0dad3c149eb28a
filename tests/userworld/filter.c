/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/userworld/filter.h"

#include "tests/userworld/profiles.h"

#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CODE_MAX 1024

struct program {
    struct sock_filter code[CODE_MAX];
    unsigned short length;
};

static void put(struct program *p, struct sock_filter instruction)
{
    if (p->length < CODE_MAX)
        p->code[p->length++] = instruction;
}

/* The lower half of an argument: where it is depends on the order of bytes. */
static uint32_t argument_offset(unsigned index)
{
    const uint32_t one = 1;

    return (uint32_t)(offsetof(struct seccomp_data, args) + index * sizeof(uint64_t) +
                      (*(const uint8_t *)&one == 1 ? 0 : sizeof(uint32_t)));
}

/* Tests that do not hold jump over all that is left of the question. */
static void put_question(struct program *p, const struct refusal *refusal, long call)
{
    uint8_t left = (uint8_t)(3 * refusal->count + 1);

    put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, left));
    for (size_t i = 0; i < refusal->count; i++) {
        const struct condition *condition = &refusal->conditions[i];

        left = (uint8_t)(left - 3);
        put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument_offset(condition->index)));
        put(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~condition->ignored));
        put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, condition->value, 0, left));
    }
    put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
}

int filter_install(uint32_t profile)
{
    static const struct refusal by_netlink = {.count = 1, .conditions = {{5, sizeof(struct sockaddr_nl), 0}}};
    static struct program p;
    struct sock_fprog program;

    p.length = 0;
    for (size_t i = 0; i < refusal_count; i++) {
        for (size_t call = 0; call < 2 && refusals[i].profiles & profile && refusals[i].calls[call]; call++)
            put_question(&p, &refusals[i], refusals[i].calls[call]);
    }
    if (profile_kernel(profile))
        put_question(&p, &(struct refusal){0}, SYS_uname);
    if (profile_cannot_destroy(profile))
        put_question(&p, &by_netlink, SYS_sendto);
    put(&p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    program = (struct sock_fprog){.len = p.length, .filter = p.code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}
