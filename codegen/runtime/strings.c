/* Numbers of strings. Equal strings have equal numbers within a run: first those of the model, which lie sorted in the
 * library and are found by bisection; then what the run meets, in order of appearance, found by a critical-bit tree
 * (Bernstein's crit-bit, PATRICIA). The strings of inputs are untrusted, so there is no hash that they could be made to
 * collide in: finding a string takes a number of steps bounded by its own length, whatever else there is.
 *
 * The bits of a string, for the tree: position p is 0x100 | byte, and 0 where the string has ended. So no string is a
 * prefix of another. */
#include "strings.h"

/* A string of this run and, but for the first one, an inner node of the tree. */
struct entry {
  const char *data;
  int64_t bytes;
  int64_t at;       /* the inner node: position and bit that decide, */
  int64_t child[2]; /* and where 0 and 1 lead: an entry's string n as n, its inner node as -1 - n */
  int64_t place;    /* run_once: where in the output `stamp` the text lies */
  int32_t bit;
  int32_t stamp;
  bool owned; /* the text lies in `chunks`, not in an input */
};

struct chunk {
  struct chunk *next;
  int64_t bytes, used;
};

struct strings {
  struct entry *entries;
  int64_t count, room;
  int64_t root;
  struct chunk *chunks;   /* the one that is being filled first */
  CameoString *outputs[]; /* the caller's, by output */
};

#define FIRST_CHUNK 4096
#define FIRST_ENTRIES 64

static CameoString model_string(int64_t number) {
  const int64_t *ends = &cameo_program.string_ends[number];
  const CameoString s = {cameo_program.string_bytes + ends[0], ends[1] - ends[0]};
  return s;
}

/* -1: not one of the model's. */
static int64_t find_in_model(const char *data, int64_t bytes) {
  int64_t low = 0, high = cameo_program.string_count;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    const CameoString s = model_string(middle);
    const int64_t common = s.bytes < bytes ? s.bytes : bytes;
    int order = common ? memcmp(s.data, data, (size_t)common) : 0;
    if (!order) order = s.bytes < bytes ? -1 : s.bytes > bytes;
    if (!order) return middle;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return -1;
}

/* ---- memory of a run */

static int64_t padded(int64_t bytes) { return (bytes + 7) & ~(int64_t)7; }

static char *take(CameoContext *c, int64_t bytes) {
  struct strings *s = c->strings;
  struct chunk *chunk = s->chunks;
  if (bytes > INT64_MAX / 4) return NULL;
  const int64_t needed = padded(bytes);
  if (!chunk || chunk->bytes - chunk->used < needed) {
    int64_t size = chunk ? 2 * chunk->bytes : FIRST_CHUNK;
    if (size < needed) size = needed;
    struct chunk *fresh = context_allocate(&c->allocator, sizeof(struct chunk) + (size_t)size);
    if (!fresh) return NULL;
    fresh->next = chunk;
    fresh->bytes = size;
    fresh->used = 0;
    s->chunks = chunk = fresh;
  }
  char *data = (char *)(chunk + 1) + chunk->used;
  chunk->used += needed;
  return data;
}

static void release_chunks(CameoContext *c, struct chunk *chunk) {
  while (chunk) {
    struct chunk *next = chunk->next;
    context_release(&c->allocator, chunk, sizeof(struct chunk) + (size_t)chunk->bytes);
    chunk = next;
  }
}

static size_t header_bytes(void) {
  return sizeof(struct strings) + (size_t)cameo_program.model.output_count * sizeof(CameoString *);
}

static void release(CameoContext *c) {
  struct strings *s = c->strings;
  release_chunks(c, s->chunks);
  context_release(&c->allocator, s->entries, (size_t)s->room * sizeof(struct entry));
  context_release(&c->allocator, s, header_bytes());
  c->strings = NULL;
}

/* An empty state, with the memory of the last run: its largest piece, which came last. */
static bool reset(CameoContext *c) {
  if (!c->strings) {
    c->strings = context_allocate(&c->allocator, header_bytes());
    if (!c->strings) return false;
    c->strings->entries = NULL;
    c->strings->room = 0;
    c->strings->chunks = NULL;
  }
  struct strings *s = c->strings;
  s->count = 0;
  if (s->chunks) {
    release_chunks(c, s->chunks->next);
    s->chunks->next = NULL;
    s->chunks->used = 0;
  }
  return true;
}

/* ---- the tree */

static int symbol(const char *data, int64_t bytes, int64_t at) {
  return at < bytes ? 0x100 | (unsigned char)data[at] : 0;
}

static int direction(const struct entry *node, const char *data, int64_t bytes) {
  return symbol(data, bytes, node->at) >> node->bit & 1;
}

static bool make_room(CameoContext *c) {
  struct strings *s = c->strings;
  if (s->count < s->room) return true;
  const int64_t room = s->room ? 2 * s->room : FIRST_ENTRIES;
  struct entry *entries = context_allocate(&c->allocator, (size_t)room * sizeof(struct entry));
  if (!entries) return false;
  if (s->count) memcpy(entries, s->entries, (size_t)s->count * sizeof(struct entry));
  context_release(&c->allocator, s->entries, (size_t)s->room * sizeof(struct entry));
  s->entries = entries;
  s->room = room;
  return true;
}

/* -1: no memory. */
static int64_t number_of(CameoContext *c, const char *data, int64_t bytes, bool owned) {
  const int64_t known = find_in_model(data, bytes);
  if (known >= 0) return known;
  struct strings *s = c->strings;
  if (!make_room(c)) return -1;
  const int64_t number = s->count;
  struct entry *fresh = &s->entries[number];
  *fresh = (struct entry){data, bytes, 0, {0, 0}, 0, 0, -1, owned};
  if (number == 0) {
    s->root = 0;
    s->count = 1;
    return cameo_program.string_count;
  }
  /* The string that shares the longest beginning with this one, as far as bits were ever compared. */
  int64_t at = s->root;
  while (at < 0) {
    const struct entry *node = &s->entries[-1 - at];
    at = node->child[direction(node, data, bytes)];
  }
  const struct entry *near = &s->entries[at];
  const int64_t common = near->bytes < bytes ? near->bytes : bytes;
  int64_t p = 0;
  while (p < common && near->data[p] == data[p]) ++p;
  const int difference = symbol(near->data, near->bytes, p) ^ symbol(data, bytes, p);
  if (!difference) return cameo_program.string_count + at;
  fresh->at = p;
  fresh->bit = 31 - __builtin_clz((unsigned)difference);
  /* Its node stands where the deciding position comes behind, in order: positions upwards, bits downwards. */
  int64_t *link = &s->root;
  while (*link < 0) {
    struct entry *node = &s->entries[-1 - *link];
    if (node->at > p || (node->at == p && node->bit < fresh->bit)) break;
    link = &node->child[direction(node, data, bytes)];
  }
  const int own = direction(fresh, data, bytes);
  fresh->child[own] = number;
  fresh->child[1 - own] = *link;
  *link = -1 - number;
  s->count = number + 1;
  return cameo_program.string_count + number;
}

/* ---- for the functions of programs */

/* Null for strings of the model, and for what is no number of a string. */
static struct entry *entry_of(const CameoContext *c, int64_t number) {
  if (number < cameo_program.string_count || number - cameo_program.string_count >= c->strings->count) return NULL;
  return &c->strings->entries[number - cameo_program.string_count];
}

static CameoString text_of(const CameoContext *c, int64_t number) {
  const struct entry *entry = entry_of(c, number);
  CameoString s = {"", 0};
  if (entry) {
    s.data = entry->data;
    s.bytes = entry->bytes;
  } else if (number >= 0 && number < cameo_program.string_count) {
    s = model_string(number);
  }
  return s;
}

CameoString string_text(struct cameo_env *env, int64_t number) { return text_of(env->pool, number); }

char *string_room(struct cameo_env *env, int64_t bytes) {
  const bool fits = bytes <= MOST_STRING_BYTES;
  char *room = fits ? take(env->pool, bytes) : NULL;
  if (!room) string_fail(env, fits ? CAMEO_OUT_OF_MEMORY : CAMEO_LIMIT_EXCEEDED);
  return room;
}

void string_unused(struct cameo_env *env, int64_t given) {
  CameoContext *c = env->pool;
  c->strings->chunks->used -= padded(given);
}

static int64_t or_none(struct cameo_env *env, int64_t number) {
  if (number < 0) string_fail(env, CAMEO_OUT_OF_MEMORY);
  return number < 0 ? 0 : number;
}

int64_t string_made(struct cameo_env *env, char *room, int64_t given, int64_t used) {
  const int64_t number = number_of(env->pool, room, used, true);
  const bool kept = number >= 0 && text_of(env->pool, number).data == room;
  CameoContext *c = env->pool;
  c->strings->chunks->used -= padded(given) - (kept ? padded(used) : 0);
  return or_none(env, number);
}

int64_t string_part(struct cameo_env *env, int64_t of, int64_t begin, int64_t bytes) {
  const CameoContext *c = env->pool;
  const struct entry *entry = entry_of(c, of);
  return or_none(env, number_of(env->pool, text_of(c, of).data + begin, bytes, !entry || entry->owned));
}

/* ---- inputs and outputs */

static int32_t out_of_memory(struct message *m) {
  put_text(m, "no memory for strings");
  return CAMEO_OUT_OF_MEMORY;
}

static int32_t fail_string(struct message *m, int32_t input, int64_t index, const char *what, int32_t status) {
  put_text(m, "input ");
  put_name(m, cameo_program.model.inputs[input].name);
  put_text(m, ": string ");
  put_int(m, index);
  put_text(m, what);
  return status;
}

/* Nothing that the run writes may be part of a text. */
static bool is_written(const CameoContext *c, const CameoString *s, const void *workspace, int64_t workspace_bytes) {
  bool written = overlap(s->data, s->bytes, workspace, workspace_bytes);
  for (int32_t o = 0; o < cameo_program.model.output_count; ++o)
    written |= overlap(s->data, s->bytes, c->outputs[o], c->output_bytes[o]);
  return written;
}

static int32_t begin_input(CameoContext *c, int32_t input, const void *workspace, int64_t workspace_bytes,
                           struct message *m) {
  const CameoString *strings = c->inputs[input];
  const int64_t count = c->input_bytes[input] / (int64_t)sizeof(CameoString);
  int64_t *numbers = (int64_t *)take(c, count * (int64_t)sizeof(int64_t));
  if (!numbers) return out_of_memory(m);
  for (int64_t i = 0; i < count; ++i) {
    const CameoString s = strings[i];
    if (s.bytes < 0 || (uint64_t)s.bytes > UINTPTR_MAX - (uintptr_t)s.data)
      return fail_string(m, input, i, " has a negative or impossible length", CAMEO_BAD_STRING);
    if (s.bytes && !s.data) return fail_string(m, input, i, " has null for its bytes", CAMEO_BAD_STRING);
    if (is_written(c, &s, workspace, workspace_bytes))
      return fail_string(m, input, i, " overlaps an output or the workspace", CAMEO_OVERLAP);
    numbers[i] = number_of(c, s.data, s.bytes, false);
    if (numbers[i] < 0) return out_of_memory(m);
  }
  c->inputs[input] = numbers;
  return CAMEO_OK;
}

static int32_t begin(CameoContext *c, const void *workspace, int64_t workspace_bytes, struct message *m) {
  const CameoModel *model = &cameo_program.model;
  if (!reset(c)) return out_of_memory(m);
  for (int32_t i = 0; i < model->input_count; ++i) {
    if (model->inputs[i].dtype != CAMEO_STRING) continue;
    const int32_t status = begin_input(c, i, workspace, workspace_bytes, m);
    if (status) return status;
  }
  int64_t *capacity = c->capacity;
  for (int32_t o = 0; o < model->output_count; ++o) {
    const CameoValue *value = &model->outputs[o];
    bool at_run = false;
    for (int32_t d = 0; d < value->rank; ++d) at_run |= value->dims[d].symbol == CAMEO_DIM_AT_RUN;
    if (value->dtype == CAMEO_STRING) {
      const int64_t bytes = c->output_bytes[o] / (int64_t)sizeof(CameoString) * (int64_t)sizeof(int64_t);
      c->strings->outputs[o] = c->outputs[o];
      c->outputs[o] = take(c, bytes);
      if (!c->outputs[o]) return out_of_memory(m);
      if (at_run) *capacity = bytes;
    }
    if (at_run) ++capacity;
  }
  return CAMEO_OK;
}

/* The texts of an output become the context's. */
static int32_t finish_kept(CameoContext *c, int32_t output, int64_t count, struct message *m) {
  struct strings *s = c->strings;
  const int64_t *numbers = c->outputs[output];
  for (int64_t i = 0; i < count; ++i) {
    struct entry *entry = entry_of(c, numbers[i]);
    if (entry && !entry->owned) {
      char *copy = take(c, entry->bytes);
      if (!copy) return out_of_memory(m);
      memcpy(copy, entry->data, (size_t)entry->bytes);
      entry->data = copy;
      entry->owned = true;
    }
    s->outputs[output][i] = text_of(c, numbers[i]);
  }
  return CAMEO_OK;
}

/* The texts of an output, but for the model's own, go behind its array. */
static int32_t finish_once(CameoContext *c, int32_t output, int64_t count, CameoOutput *to, struct message *m) {
  struct strings *s = c->strings;
  const int64_t *numbers = c->outputs[output];
  int64_t end = count * (int64_t)sizeof(CameoString);
  for (int64_t i = 0; i < count; ++i) {
    struct entry *entry = entry_of(c, numbers[i]);
    if (!entry || entry->stamp == output) continue;
    entry->stamp = output;
    entry->place = end;
    if (__builtin_add_overflow(end, entry->bytes, &end)) return out_of_memory(m);
  }
  if (end > to->bytes) {
    put_text(m, "output ");
    put_name(m, cameo_program.model.outputs[output].name);
    put_text(m, ": ");
    put_int(m, end);
    put_text(m, " bytes are needed for the strings and their text, ");
    put_int(m, to->bytes);
    put_text(m, " are given");
    to->bytes = end;
    return CAMEO_BUFFER_TOO_SMALL;
  }
  char *base = (char *)s->outputs[output];
  for (int64_t i = 0; i < count; ++i) {
    CameoString text = text_of(c, numbers[i]);
    const struct entry *entry = entry_of(c, numbers[i]);
    if (entry) {
      char *copy = base + entry->place;
      memcpy(copy, text.data, (size_t)text.bytes);
      text.data = copy;
    }
    s->outputs[output][i] = text;
  }
  return CAMEO_OK;
}

static int32_t finish(CameoContext *c, CameoOutput *outputs, struct message *m) {
  const CameoModel *model = &cameo_program.model;
  int32_t status = CAMEO_OK;
  for (int32_t o = 0; o < model->output_count; ++o) {
    if (model->outputs[o].dtype != CAMEO_STRING) continue;
    int64_t count = c->output_bytes[o] / (int64_t)sizeof(CameoString);
    if (outputs) { /* as the run left them */
      count = packed_bytes(CAMEO_I64, outputs[o].dims, outputs[o].rank) / (int64_t)sizeof(int64_t);
    }
    const int32_t own = c->once && outputs ? finish_once(c, o, count, &outputs[o], m) : finish_kept(c, o, count, m);
    if (own && !status) status = own;
  }
  return status;
}

const struct string_hooks cameo_string_hooks = {begin, finish, release};
