/* StringSplit, as Python splits: at each delimiter, or at runs of blanks, which are no part of any piece; what is left
 * after the most splits that there may be is one piece more. */
#include "strings.h"

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

struct pieces {
  CameoString text, delimiter;
  int64_t at;     /* where the rest begins; -1: nothing is left */
  int64_t splits; /* that may still be made */
};

static struct pieces pieces_of(CameoString text, CameoString delimiter, int64_t limit) {
  struct pieces p = {text, delimiter, 0, limit};
  return p;
}

/* The next piece, if there is one. */
static bool next(struct pieces *p, int64_t *begin, int64_t *bytes) {
  const CameoString *t = &p->text, *d = &p->delimiter;
  if (p->at < 0) return false;
  int64_t i = p->at;
  if (!d->bytes) {
    while (i < t->bytes && is_blank(t->data[i])) ++i;
    if (i == t->bytes) return false;
    *begin = i;
    if (p->splits > 0)
      while (i < t->bytes && !is_blank(t->data[i])) ++i;
    else
      i = t->bytes;
    p->at = i;
  } else {
    *begin = i;
    while (p->splits > 0 && i <= t->bytes - d->bytes && memcmp(t->data + i, d->data, (size_t)d->bytes)) ++i;
    const bool found = p->splits > 0 && i <= t->bytes - d->bytes;
    p->at = found ? i + d->bytes : -1;
    if (!found) i = t->bytes;
  }
  *bytes = i - *begin;
  --p->splits;
  return true;
}

void cameo_string_split_counts(struct cameo_env *env, const int64_t *x, const int64_t *delimiter, int64_t *y,
                               int64_t count, int64_t limit) {
  const CameoString by = string_text(env, *delimiter);
  for (int64_t i = 0; i < count; ++i) {
    struct pieces p = pieces_of(string_text(env, x[i]), by, limit);
    int64_t begin, bytes;
    y[i] = 0;
    while (next(&p, &begin, &bytes)) ++y[i];
  }
}

/* y[i, j] = piece j of x[i], and "" behind the last one. */
void cameo_string_split_parts(struct cameo_env *env, const int64_t *x, const int64_t *delimiter, int64_t *y,
                              int64_t count, int64_t width, int64_t limit) {
  const CameoString by = string_text(env, *delimiter);
  for (int64_t i = 0; i < count; ++i) {
    struct pieces p = pieces_of(string_text(env, x[i]), by, limit);
    int64_t begin, bytes, *row = y + i * width;
    for (int64_t j = 0; j < width; ++j) row[j] = next(&p, &begin, &bytes) ? string_part(env, x[i], begin, bytes) : 0;
  }
}
