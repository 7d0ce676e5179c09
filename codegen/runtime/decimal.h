/* Decimal numbers of many digits, to convert floats from and to text exactly: a float is a decimal that was halved or
 * doubled some number of times (as in Go's strconv/decimal.go). Slow for huge exponents and never wrong. */
#ifndef CAMEO_DECIMAL_H
#define CAMEO_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#define MOST_DIGITS 800 /* 767 decide between two f64 */

/* 0.d[0]d[1]... * 10^point, without trailing zeros. */
struct decimal {
  int count, point;
  bool cut; /* digits other than 0 were dropped behind the last one */
  uint8_t d[MOST_DIGITS];
};

/* The layout of a float in bits. */
struct format {
  int fraction_bits, exponent_bits, bias;
};
extern const struct format kFloat32, kFloat64;

void decimal_of(struct decimal *a, uint64_t value);
void decimal_shift(struct decimal *a, int k); /* times 2^k */

/* The bits of the nearest float, ties to even, without sign; infinity when it is too large. Destroys `a`. */
uint64_t decimal_to_float(struct decimal *a, const struct format *format);
/* The fewest digits that only this float (finite, not negative) is nearest to. */
void decimal_of_float(struct decimal *a, uint64_t bits, const struct format *format);

#endif
