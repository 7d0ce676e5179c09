/* Cast of strings to numbers and back.
 *
 * A number is [+-] digits [. digits] [e [+-] digits], inf, infinity or nan in any case, with blanks around it; anything
 * else ends the run with CAMEO_INVALID_VALUE. Floats are the nearest ones, ties to even; integers may be written as
 * floats, whose fraction is dropped. Floats are written with the fewest digits that give them back, as Python writes
 * them: 0.1, 1.0, 1e-05, 1e+16, inf, nan. */
#include "decimal.h"
#include "strings.h"

struct number {
  bool negative;
  enum { FINITE, INFINITE, NOT_A_NUMBER } kind;
  bool whole; /* digits only: `integer` is the value unless `large` */
  bool large;
  uint64_t integer;
  struct decimal decimal;
};

/* Of digits in front of the point, zeros behind it, and exponents: more are as good as these. */
#define MOST_POINT 999999999

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_word(const char *at, const char *end, const char *word) {
  while (at < end && *word && (*at | 0x20) == *word) ++at, ++word;
  return at == end && !*word;
}

static void add_digit(struct number *n, int value, bool behind_point) {
  struct decimal *d = &n->decimal;
  if (__builtin_mul_overflow(n->integer, 10, &n->integer) ||
      __builtin_add_overflow(n->integer, (uint64_t)value, &n->integer))
    n->large = true;
  if (d->count == 0 && value == 0) { /* leading */
    if (behind_point && d->point > -MOST_POINT) --d->point;
    return;
  }
  if (d->count < MOST_DIGITS)
    d->d[d->count++] = (uint8_t)value;
  else
    d->cut |= value != 0;
  if (!behind_point && d->point < MOST_POINT) ++d->point;
}

static bool read_number(CameoString text, struct number *n) {
  const char *at = text.data, *end = text.data + text.bytes;
  while (at < end && is_blank(*at)) ++at;
  while (at < end && is_blank(end[-1])) --end;
  n->negative = at < end && *at == '-';
  if (at < end && (*at == '-' || *at == '+')) ++at;
  n->kind = is_word(at, end, "nan") ? NOT_A_NUMBER : FINITE;
  if (is_word(at, end, "inf") || is_word(at, end, "infinity")) n->kind = INFINITE;
  n->whole = false;
  if (n->kind != FINITE) return true;

  n->large = false;
  n->integer = 0;
  n->decimal.count = n->decimal.point = 0;
  n->decimal.cut = false;
  const char *digits = at;
  for (; at < end && is_digit(*at); ++at) add_digit(n, *at - '0', false);
  bool any = at > digits;
  n->whole = at == end;
  if (at < end && *at == '.') {
    digits = ++at;
    for (; at < end && is_digit(*at); ++at) add_digit(n, *at - '0', true);
    any |= at > digits;
  }
  if (!any) return false;
  if (at < end && (*at | 0x20) == 'e') {
    ++at;
    const bool down = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) ++at;
    digits = at;
    int exponent = 0;
    for (; at < end && is_digit(*at); ++at)
      if (exponent <= MOST_POINT / 10) exponent = exponent * 10 + (*at - '0');
    if (at == digits) return false;
    n->decimal.point += down ? -exponent : exponent;
  }
  struct decimal *d = &n->decimal;
  while (d->count > 0 && d->d[d->count - 1] == 0) --d->count;
  return at == end;
}

static uint64_t float_bits(struct number *n, const struct format *f) {
  const uint64_t sign = (uint64_t)n->negative << (f->fraction_bits + f->exponent_bits);
  const uint64_t infinity = (((uint64_t)1 << f->exponent_bits) - 1) << f->fraction_bits;
  if (n->kind == NOT_A_NUMBER) return infinity | (uint64_t)1 << (f->fraction_bits - 1);
  return sign | (n->kind == INFINITE ? infinity : decimal_to_float(&n->decimal, f));
}

/* The magnitude as an integer, the fraction dropped; false: it has none below 2^64. */
static bool magnitude(struct number *n, uint64_t *value) {
  if (n->kind != FINITE || (n->whole && n->large)) return false;
  *value = n->integer;
  if (n->whole) return true;
  const struct decimal *d = &n->decimal;
  *value = 0;
  if (d->count && d->point > 20) return false;
  for (int i = 0; i < d->point && d->count; ++i)
    if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, i < d->count ? d->d[i] : 0, value))
      return false;
  return true;
}

static bool signed_value(struct number *n, int64_t *value) {
  uint64_t m;
  if (!magnitude(n, &m) || m > (uint64_t)INT64_MAX + n->negative) return false;
  *value = (int64_t)(n->negative ? 0 - m : m);
  return true;
}

static bool unsigned_value(struct number *n, uint64_t *value) {
  return magnitude(n, value) && !(n->negative && *value);
}

#define PARSE(name, type, read)                                                                                        \
  void cameo_string_number_parse_##name(struct cameo_env *env, const int64_t *x, type *y, int64_t count) {             \
    struct number n;                                                                                                   \
    for (int64_t i = 0; i < count; ++i) {                                                                              \
      type value = 0;                                                                                                  \
      if (!read_number(string_text(env, x[i]), &n) || !(read)) string_fail(env, CAMEO_INVALID_VALUE);                  \
      y[i] = value;                                                                                                    \
    }                                                                                                                  \
  }

/* Floats are written as their bits. */
PARSE(f32, uint32_t, (value = (uint32_t)float_bits(&n, &kFloat32), true))
PARSE(f64, uint64_t, (value = float_bits(&n, &kFloat64), true))
PARSE(i64, int64_t, signed_value(&n, &value))
PARSE(u64, uint64_t, unsigned_value(&n, &value))

/* ---- numbers to text */

#define MOST_TEXT 40

static int put(char *text, int at, const char *what) {
  while (*what) text[at++] = *what++;
  return at;
}

static int put_unsigned(char *text, int at, uint64_t value) {
  char digits[20];
  int n = 0;
  do digits[n++] = (char)('0' + value % 10);
  while (value /= 10);
  while (n) text[at++] = digits[--n];
  return at;
}

static int put_float(char *text, uint64_t bits, const struct format *f) {
  const int width = f->fraction_bits + f->exponent_bits;
  const uint64_t all = (((uint64_t)1 << f->exponent_bits) - 1) << f->fraction_bits;
  const uint64_t sign = bits >> width & 1;
  bits &= ((uint64_t)1 << width) - 1;
  if (bits > all) return put(text, 0, "nan");
  int at = sign ? put(text, 0, "-") : 0;
  if (bits == all) return put(text, at, "inf");
  struct decimal d;
  decimal_of_float(&d, bits, f);
  if (d.count == 0) return put(text, at, "0.0");
  if (d.point > -4 && d.point <= 16) {
    if (d.point <= 0) at = put(text, at, "0.");
    for (int i = d.point < 0 ? d.point : 0; i < d.count || i <= d.point; ++i) {
      if (i == d.point && d.point > 0) text[at++] = '.';
      if (i < d.count || i < d.point || d.point > 0) text[at++] = (char)('0' + (i >= 0 && i < d.count ? d.d[i] : 0));
    }
    return at;
  }
  text[at++] = (char)('0' + d.d[0]);
  if (d.count > 1) text[at++] = '.';
  for (int i = 1; i < d.count; ++i) text[at++] = (char)('0' + d.d[i]);
  const int exponent = d.point - 1;
  at = put(text, at, exponent < 0 ? "e-" : "e+");
  const uint64_t size = (uint64_t)(exponent < 0 ? -exponent : exponent);
  if (size < 10) text[at++] = '0';
  return put_unsigned(text, at, size);
}

static int put_signed(char *text, int64_t value) {
  const int at = value < 0 ? put(text, 0, "-") : 0;
  return put_unsigned(text, at, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

#define PRINT(name, type, write)                                                                                       \
  void cameo_string_number_print_##name(struct cameo_env *env, const type *x, int64_t *y, int64_t count) {             \
    for (int64_t i = 0; i < count; ++i) {                                                                              \
      char *text = string_room(env, MOST_TEXT);                                                                        \
      if (!text) {                                                                                                     \
        y[i] = 0;                                                                                                      \
        continue;                                                                                                      \
      }                                                                                                                \
      y[i] = string_made(env, text, MOST_TEXT, write);                                                                 \
    }                                                                                                                  \
  }

PRINT(f32, uint32_t, put_float(text, x[i], &kFloat32))
PRINT(f64, uint64_t, put_float(text, x[i], &kFloat64))
PRINT(i64, int64_t, put_signed(text, x[i]))
PRINT(u64, uint64_t, put_unsigned(text, 0, x[i]))
