/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/order.h"

#include "base/buf.h"

int msy_sibling_compare(const struct msy_sibling_order *a, const struct msy_sibling_order *b)
{
    if (a->hlc != b->hlc) {
        return a->hlc < b->hlc ? -1 : 1;
    }
    int order = msy_actor_compare(&a->actor, &b->actor);
    if (order != 0) {
        return order;
    }
    if (a->seq != b->seq) {
        return a->seq < b->seq ? -1 : 1;
    }
    return a->index == b->index ? 0 : (a->index < b->index ? -1 : 1);
}

static int order_class(int32_t type)
{
    switch (type) {
    case MESHSYNC_VALUE_NIL: return 0;
    case MESHSYNC_VALUE_BOOL: return 1;
    case MESHSYNC_VALUE_INT:
    case MESHSYNC_VALUE_FLOAT: return 2;
    case MESHSYNC_VALUE_STRING: return 3;
    case MESHSYNC_VALUE_BYTES: return 4;
    case MESHSYNC_VALUE_JSON: return 5;
    case MESHSYNC_VALUE_MSGPACK: return 6;
    default: return 7;
    }
}

/* A number as sign, exponent and 64-bit mantissa, so that integers and doubles compare exactly. */
struct order_number {
    int sign;      /* -1, 0, 1; -2 for NaN, which is below all. */
    int exponent;  /* Of the highest bit; INT32_MAX / 2 for infinity. */
    uint64_t bits; /* Mantissa with its highest bit at 63. */
};

enum { ORDER_INFINITE = 1 << 20, DOUBLE_BIAS = 1023, DOUBLE_MANTISSA_BITS = 52 };

static void order_normalise(struct order_number *number, uint64_t bits, int exponent)
{
    while ((bits & (UINT64_C(1) << 63)) == 0) {
        bits <<= 1;
        exponent--;
    }
    number->bits = bits;
    number->exponent = exponent;
}

static struct order_number order_of_int(int64_t value)
{
    struct order_number number = {.sign = value < 0 ? -1 : (value > 0 ? 1 : 0)};
    if (value != 0) {
        uint64_t bits = value < 0 ? UINT64_C(0) - (uint64_t)value : (uint64_t)value;
        order_normalise(&number, bits, 63);
    }
    return number;
}

static struct order_number order_of_double(double value)
{
    struct order_number number = {0};
    uint64_t raw = 0;
    memcpy(&raw, &value, sizeof raw);
    int exponent = (int)(raw >> DOUBLE_MANTISSA_BITS & 0x7ff);
    uint64_t mantissa = raw & ((UINT64_C(1) << DOUBLE_MANTISSA_BITS) - 1);
    number.sign = (raw >> 63) != 0 ? -1 : 1;
    if (exponent == 0x7ff) {
        number.exponent = ORDER_INFINITE;
        number.sign = mantissa != 0 ? -2 : number.sign;
        return number;
    }
    if (exponent == 0 && mantissa == 0) {
        number.sign = 0;
        return number;
    }
    if (exponent > 0) {
        mantissa |= UINT64_C(1) << DOUBLE_MANTISSA_BITS;
    } else {
        exponent = 1;
    }
    order_normalise(&number, mantissa, exponent - DOUBLE_BIAS + 63 - DOUBLE_MANTISSA_BITS);
    return number;
}

static int order_numbers(const meshsync_value *a, const meshsync_value *b)
{
    struct order_number x =
        a->type == MESHSYNC_VALUE_INT ? order_of_int(a->integer) : order_of_double(a->real);
    struct order_number y =
        b->type == MESHSYNC_VALUE_INT ? order_of_int(b->integer) : order_of_double(b->real);
    if (x.sign != y.sign) {
        return x.sign < y.sign ? -1 : 1;
    }
    int sign = x.sign < 0 ? -1 : 1;
    if (x.sign != 0 && x.sign != -2 && x.exponent != y.exponent) {
        return x.exponent < y.exponent ? -sign : sign;
    }
    if (x.sign != 0 && x.sign != -2 && x.bits != y.bits) {
        return x.bits < y.bits ? -sign : sign;
    }
    if (a->type == b->type) {
        return 0;
    }
    return a->type == MESHSYNC_VALUE_INT ? -1 : 1;
}

int msy_value_compare(const meshsync_value *a, const meshsync_value *b)
{
    int left = order_class(a->type);
    int right = order_class(b->type);
    if (left != right) {
        return left < right ? -1 : 1;
    }
    if (left == 0) {
        return 0;
    }
    if (left == 1) {
        return a->integer == b->integer ? 0 : (a->integer < b->integer ? -1 : 1);
    }
    return left == 2 ? order_numbers(a, b) : msy_bytes_compare(a->bytes, b->bytes);
}
