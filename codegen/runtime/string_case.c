/* Strings in lower or upper case: Unicode's simple mappings, one character to one, whatever the locale. Bytes that are
 * no UTF-8 stay as they are. */
#include "strings.h"

/* first, first + step, ..., last move by `distance`. */
struct case_row {
  uint32_t first, last, step;
  int32_t distance;
};

#include "string_case_table.h"

static uint32_t mapped(uint32_t c, const struct case_row *rows, int count) {
  int low = 0, high = count; /* the first row that does not end before c */
  while (low < high) {
    const int middle = (low + high) / 2;
    if (rows[middle].last < c)
      low = middle + 1;
    else
      high = middle;
  }
  const bool found = low < count && c >= rows[low].first && (c - rows[low].first) % rows[low].step == 0;
  return found ? c + (uint32_t)rows[low].distance : c;
}

/* The character at `at`, and how many bytes it has; 0: none begins there. */
static int decode(const unsigned char *at, int64_t left, uint32_t *c) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const int length = *at < 0x80 ? 1 : *at < 0xc2 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : *at < 0xf5 ? 4 : 0;
  if (length > left) return 0;
  uint32_t value = length < 2 ? *at : *at & (0x7fu >> length);
  for (int i = 1; i < length; ++i) {
    if ((at[i] & 0xc0) != 0x80) return 0;
    value = value << 6 | (at[i] & 0x3f);
  }
  *c = value;
  return length && value >= least[length] && value < 0x110000 && (value < 0xd800 || value >= 0xe000) ? length : 0;
}

static int encode(unsigned char *to, uint32_t c) {
  if (c < 0x80) {
    to[0] = (unsigned char)c;
    return 1;
  }
  const int length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (int i = length - 1; i > 0; --i, c >>= 6) to[i] = (unsigned char)(0x80 | (c & 0x3f));
  to[0] = (unsigned char)((0xf00 >> length & 0xff) | c);
  return length;
}

static void change(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t count, const struct case_row *rows,
                   int row_count) {
  for (int64_t i = 0; i < count; ++i) {
    const CameoString s = string_text(env, x[i]);
    const unsigned char *from = (const unsigned char *)s.data;
    y[i] = 0;
    if (!s.bytes) continue;
    /* A character of two bytes may become one of three. */
    const int64_t most = s.bytes <= MOST_STRING_BYTES ? s.bytes + s.bytes / 2 : s.bytes;
    char *text = string_room(env, most);
    if (!text) return;
    int64_t used = 0;
    for (int64_t at = 0; at < s.bytes;) {
      uint32_t c;
      const int length = decode(from + at, s.bytes - at, &c);
      if (length)
        used += encode((unsigned char *)text + used, mapped(c, rows, row_count));
      else
        text[used++] = s.data[at];
      at += length ? length : 1;
    }
    y[i] = string_made(env, text, most, used);
  }
}

void cameo_string_case_lower(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t count) {
  change(env, x, y, count, kLower, (int)(sizeof kLower / sizeof kLower[0]));
}

void cameo_string_case_upper(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t count) {
  change(env, x, y, count, kUpper, (int)(sizeof kUpper / sizeof kUpper[0]));
}
