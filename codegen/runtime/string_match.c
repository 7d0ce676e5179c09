/* RegexFullMatch: all ways through the program at once (cameo/support/regex.h), byte by byte. */
#include "strings.h"

enum { BYTE, FORK, HOLDS, ACCEPT };                                           /* RegexStep */
enum { BEGIN_TEXT, END_TEXT, BEGIN_LINE, END_LINE, WORD_EDGE, NO_WORD_EDGE }; /* RegexPlace */
struct step {
  int32_t kind, a, b, next;
};

struct machine {
  const struct step *steps;
  int64_t *seen;       /* by step: when it was reached last */
  int32_t *waiting;    /* steps that are still to be followed: each is reached once, and leads to two at most */
  int32_t *now, *then; /* steps that read a byte or accept, at this position and the next */
  int64_t now_count, then_count, clock;
};

static bool is_word(CameoString s, int64_t at) {
  if (at < 0 || at >= s.bytes) return false;
  const unsigned char c = (unsigned char)s.data[at], letter = c | 0x20;
  return c == '_' || (c >= '0' && c <= '9') || (letter >= 'a' && letter <= 'z');
}

static bool holds(int32_t place, CameoString s, int64_t at) {
  switch (place) {
  case BEGIN_TEXT:
    return at == 0;
  case END_TEXT:
    return at == s.bytes;
  case BEGIN_LINE:
    return at == 0 || s.data[at - 1] == '\n';
  case END_LINE:
    return at == s.bytes || s.data[at] == '\n';
  default:
    return (is_word(s, at - 1) != is_word(s, at)) == (place == WORD_EDGE);
  }
}

/* The steps that read, reached from `start` in front of byte `at`, become part of `then`. */
static void follow(struct machine *m, int32_t start, CameoString s, int64_t at) {
  int64_t count = 1;
  m->waiting[0] = start;
  while (count) {
    const int32_t number = m->waiting[--count];
    if (m->seen[number] == m->clock) continue;
    m->seen[number] = m->clock;
    const struct step *step = &m->steps[number];
    if (step->kind == FORK) {
      m->waiting[count++] = step->b;
      m->waiting[count++] = step->a;
    } else if (step->kind == HOLDS) {
      if (holds(step->a, s, at)) m->waiting[count++] = step->next;
    } else {
      m->then[m->then_count++] = number;
    }
  }
}

static void advance(struct machine *m) {
  int32_t *free = m->now;
  m->now = m->then;
  m->now_count = m->then_count;
  m->then = free;
  m->then_count = 0;
  ++m->clock;
}

static bool matches(struct machine *m, CameoString s) {
  advance(m);
  follow(m, 0, s, 0);
  advance(m);
  for (int64_t at = 0; at < s.bytes && m->now_count; ++at) {
    const int32_t c = (unsigned char)s.data[at];
    for (int64_t i = 0; i < m->now_count; ++i) {
      const struct step *step = &m->steps[m->now[i]];
      if (step->kind == BYTE && step->a <= c && c <= step->b) follow(m, step->next, s, at + 1);
    }
    advance(m);
  }
  bool accepted = false;
  for (int64_t i = 0; i < m->now_count; ++i) accepted |= m->steps[m->now[i]].kind == ACCEPT;
  m->now_count = 0;
  return accepted;
}

void cameo_string_match_full(struct cameo_env *env, const int64_t *x, const int32_t *program, uint8_t *y, int64_t count,
                             int64_t steps) {
  const int64_t bytes = steps * (int64_t)(sizeof(int64_t) + 4 * sizeof(int32_t)) + (int64_t)sizeof(int64_t);
  char *room = string_room(env, bytes);
  if (!room) return;
  struct machine m = {(const struct step *)program, (int64_t *)room, NULL, NULL, NULL, 0, 0, 0};
  m.waiting = (int32_t *)(m.seen + steps);
  m.now = m.waiting + 2 * steps + 2;
  m.then = m.now + steps;
  for (int64_t i = 0; i < steps; ++i) m.seen[i] = 0;
  for (int64_t i = 0; i < count; ++i) y[i] = matches(&m, string_text(env, x[i]));
  string_unused(env, bytes);
}
