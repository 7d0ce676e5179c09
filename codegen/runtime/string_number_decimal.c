/* Floats to decimals and back (see decimal.h). */
#include "decimal.h"

const struct format kFloat32 = {23, 8, -127}, kFloat64 = {52, 11, -1023};

#define MOST_SHIFT 59 /* 10 << 59 fits 64 bits */

static void trim(struct decimal *a) {
  while (a->count > 0 && a->d[a->count - 1] == 0) --a->count;
  if (a->count == 0) a->point = 0;
}

void decimal_of(struct decimal *a, uint64_t value) {
  uint8_t digits[20];
  int n = 0;
  for (; value; value /= 10) digits[n++] = (uint8_t)(value % 10);
  a->count = a->point = n;
  a->cut = false;
  for (int i = 0; i < n; ++i) a->d[i] = digits[n - 1 - i];
  trim(a);
}

static void shift_left(struct decimal *a, int k) {
  uint8_t digits[MOST_DIGITS + 20];
  int first = MOST_DIGITS + 20;
  uint64_t carry = 0;
  for (int i = a->count; i-- > 0;) {
    carry += (uint64_t)a->d[i] << k;
    digits[--first] = (uint8_t)(carry % 10);
    carry /= 10;
  }
  for (; carry; carry /= 10) digits[--first] = (uint8_t)(carry % 10);
  const int count = MOST_DIGITS + 20 - first;
  a->point += count - a->count;
  a->count = count < MOST_DIGITS ? count : MOST_DIGITS;
  for (int i = 0; i < count; ++i) {
    if (i < MOST_DIGITS)
      a->d[i] = digits[first + i];
    else if (digits[first + i])
      a->cut = true;
  }
  trim(a);
}

static void shift_right(struct decimal *a, int k) {
  int read = 0, write = 0;
  uint64_t n = 0;
  for (; n >> k == 0; ++read) {
    if (read < a->count) {
      n = n * 10 + a->d[read];
      continue;
    }
    if (n == 0) {
      a->count = 0;
      return trim(a);
    }
    for (; n >> k == 0; ++read) n *= 10;
    break;
  }
  a->point -= read - 1;
  const uint64_t mask = ((uint64_t)1 << k) - 1;
  for (; read < a->count; ++read) {
    const uint8_t next = a->d[read];
    a->d[write++] = (uint8_t)(n >> k);
    n = (n & mask) * 10 + next;
  }
  for (; n > 0; n = (n & mask) * 10) {
    const uint8_t digit = (uint8_t)(n >> k);
    if (write < MOST_DIGITS)
      a->d[write++] = digit;
    else if (digit)
      a->cut = true;
  }
  a->count = write;
  trim(a);
}

void decimal_shift(struct decimal *a, int k) {
  if (a->count == 0) return;
  for (; k > MOST_SHIFT; k -= MOST_SHIFT) shift_left(a, MOST_SHIFT);
  for (; k < -MOST_SHIFT; k += MOST_SHIFT) shift_right(a, MOST_SHIFT);
  if (k > 0) shift_left(a, k);
  if (k < 0) shift_right(a, -k);
}

/* Whether the number is nearer to what is behind its first `count` digits than to these alone; ties to even. */
static bool rounds_up(const struct decimal *a, int count) {
  if (count < 0 || count >= a->count) return false;
  if (a->d[count] == 5 && count + 1 == a->count) return a->cut || (count > 0 && a->d[count - 1] % 2 != 0);
  return a->d[count] >= 5;
}

static uint64_t rounded_integer(const struct decimal *a) {
  uint64_t n = 0;
  for (int i = 0; i < a->point; ++i) n = n * 10 + (i < a->count ? a->d[i] : 0);
  return n + rounds_up(a, a->point);
}

/* How far to shift a number of so many digits before the point (or zeros behind it), to come near 1 and not past it. */
static int step(int digits) {
  static const int8_t bits[] = {1, 3, 6, 9, 13, 16, 19, 23, 26};
  return digits < (int)sizeof bits ? bits[digits] : 27;
}

uint64_t decimal_to_float(struct decimal *a, const struct format *f) {
  const uint64_t infinity = (((uint64_t)1 << f->exponent_bits) - 1) << f->fraction_bits;
  if (a->count == 0 || a->point < -330) return 0;
  if (a->point > 310) return infinity;
  int exponent = 0; /* the number is now a * 2^exponent */
  while (a->point > 0) {
    const int n = step(a->point);
    decimal_shift(a, -n);
    exponent += n;
  }
  while (a->point < 0 || (a->point == 0 && a->d[0] < 5)) {
    const int n = step(-a->point);
    decimal_shift(a, n);
    exponent -= n;
  }
  --exponent;                   /* from [0.5, 1) to [1, 2) */
  if (exponent < f->bias + 1) { /* denormal */
    decimal_shift(a, exponent - (f->bias + 1));
    exponent = f->bias + 1;
  }
  const int last = (1 << f->exponent_bits) - 1;
  if (exponent - f->bias >= last) return infinity;
  decimal_shift(a, 1 + f->fraction_bits);
  uint64_t mantissa = rounded_integer(a);
  if (mantissa == (uint64_t)2 << f->fraction_bits) {
    mantissa >>= 1;
    if (++exponent - f->bias >= last) return infinity;
  }
  const uint64_t one = (uint64_t)1 << f->fraction_bits;
  if (!(mantissa & one)) exponent = f->bias;
  return (mantissa & (one - 1)) | (uint64_t)(exponent - f->bias) << f->fraction_bits;
}

static void round_down(struct decimal *a, int count) {
  if (count < 0 || count >= a->count) return;
  a->count = count;
  trim(a);
}

static void round_up(struct decimal *a, int count) {
  if (count < 0 || count >= a->count) return;
  for (int i = count - 1; i >= 0; --i)
    if (a->d[i] < 9) {
      ++a->d[i];
      a->count = i + 1;
      return;
    }
  a->d[0] = 1; /* all nines */
  a->count = 1;
  ++a->point;
}

static int digit(const struct decimal *a, int i) { return i >= 0 && i < a->count ? a->d[i] : 0; }

void decimal_of_float(struct decimal *a, uint64_t bits, const struct format *f) {
  const uint64_t one = (uint64_t)1 << f->fraction_bits;
  uint64_t mantissa = bits & (one - 1);
  int exponent = (int)(bits >> f->fraction_bits);
  if (exponent)
    mantissa |= one;
  else
    exponent = 1;
  exponent += f->bias;
  decimal_of(a, mantissa);
  decimal_shift(a, exponent - f->fraction_bits);
  if (!mantissa) return;
  /* Halfway to the neighbours: between these every decimal means this float; at them when it is even. */
  struct decimal upper, lower;
  decimal_of(&upper, mantissa * 2 + 1);
  decimal_shift(&upper, exponent - f->fraction_bits - 1);
  const bool close = mantissa > one || exponent == f->bias + 1;
  decimal_of(&lower, close ? mantissa * 2 - 1 : mantissa * 4 - 1);
  decimal_shift(&lower, exponent - f->fraction_bits - (close ? 1 : 2));
  const bool inclusive = mantissa % 2 == 0;
  /* The first digit at which rounding down stays above `lower`, or rounding up below `upper`. */
  int above = 0; /* of upper - a so far, in units of this digit: 0, 1, or more */
  for (int u = 0;; ++u) {
    const int i = u - upper.point + a->point, l = u - upper.point + lower.point;
    if (i >= a->count) return;
    const int low = digit(&lower, l), middle = digit(a, i), high = digit(&upper, u);
    const bool down = low != middle || (inclusive && l + 1 == lower.count);
    if (above == 0 && middle + 1 < high)
      above = 2;
    else if (above == 0 && middle != high)
      above = 1;
    else if (above == 1 && (middle != 9 || high != 0))
      above = 2;
    const bool up = above > 0 && (inclusive || above > 1 || u + 1 < upper.count);
    if (!down && !up) continue;
    if (down && (!up || !rounds_up(a, i + 1)))
      round_down(a, i + 1);
    else
      round_up(a, i + 1);
    return;
  }
}
