/* SPDX-License-Identifier: Apache-2.0 */
/* What some bytes that came from a service mean, and what is to be said to them. */
#pragma once

#include "probe/base.h"

#define SERVICE_REQUEST_SIZE 256

enum service_answer {
    SERVICE_INCOMPLETE, /* nothing yet */
    SERVICE_LIVES,      /* a sign of life, but the question stands */
    SERVICE_ANSWERS,    /* the question is answered; the connection has room for the next one */
    SERVICE_ENDS,       /* it is answered, and nothing more can be asked over this connection */
    SERVICE_REFUSES,    /* it does not serve */
};

struct service_reply {
    enum service_answer answer;
    const char *why; /* of SERVICE_REFUSES: how it answered (static) */
    size_t say_bytes;
    uint8_t say[SERVICE_REQUEST_SIZE]; /* to be sent at once */
};
