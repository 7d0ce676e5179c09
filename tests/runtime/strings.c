/* Strings of the runtime (codegen/runtime/string*.c) under sanitizers: every text lies in memory of exactly its size,
 * so that reading one byte too much is found. Prints ok, or what failed. */
#include "../../codegen/runtime/strings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMost = 2000 };

/* x: string[n] -> y: string[n], by the function under test. */
static void (*call)(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t n);

static void echo(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t n) {
  (void)env;
  memcpy(y, x, (size_t)n * sizeof *y);
}

/* Numbers that no string has: what a failed run may compute. */
static void nonsense(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t n) {
  (void)env, (void)x;
  for (int64_t i = 0; i < n; ++i) y[i] = i % 2 ? INT64_MAX - i : INT64_MIN + i;
}

static void run(struct cameo_env *env, const void *const *inputs, void *const *outputs, int64_t *run_dims,
                const int64_t *capacity, const void *weights, void *workspace, const int64_t *symbols) {
  (void)run_dims, (void)capacity, (void)weights, (void)workspace;
  call(env, inputs[0], outputs[0], symbols[0]);
}

static int64_t workspace_bytes(struct cameo_env *env, const int64_t *symbols) { return (void)env, (void)symbols, 0; }

static const CameoDim kDims[] = {{-1, 0, 0, "n"}};
static const CameoValue kInput = {"x", CAMEO_STRING, 1, kDims, -1}, kOutput = {"y", CAMEO_STRING, 1, kDims, -1};
static const CameoSymbol kSymbol = {"n", 0, kMost};
static const CameoVariant kVariant = {"any", 0};
static const struct variant_code kCode = {run, workspace_bytes, NULL};
static const char kBytes[] = "ab\xc3\xa9"; /* "", "a", "b", "e" with an acute accent */
static const int64_t kEnds[] = {0, 0, 1, 2, 4};
const struct program cameo_program = {
    .model = {.input_count = 1,
              .output_count = 1,
              .symbol_count = 1,
              .variant_count = 1,
              .inputs = &kInput,
              .outputs = &kOutput,
              .symbols = &kSymbol,
              .variants = &kVariant},
    .code = &kCode,
    .output_dims = 1,
    .string_hooks = &cameo_string_hooks,
    .string_bytes = kBytes,
    .string_ends = kEnds,
    .string_count = 4,
};

static int failures;
static void check(int condition, const char *what) {
  if (!condition && failures++ < 10) printf("failed: %s\n", what);
}

static CameoString text(const char *bytes, int64_t size) {
  CameoString s = {malloc((size_t)size), size}; /* malloc(0) may be null, and may not be read */
  if (size) memcpy((char *)(uintptr_t)s.data, bytes, (size_t)size);
  return s;
}

/* Runs `with` on n texts that are then freed, so that y stands by itself. */
static int32_t transform(CameoContext *context, const CameoString *x, CameoString *y, int64_t n,
                         void (*with)(struct cameo_env *, const int64_t *, int64_t *, int64_t)) {
  CameoString *own = malloc((size_t)n * sizeof *own);
  for (int64_t i = 0; i < n; ++i) own[i] = text(x[i].data, x[i].bytes);
  int64_t x_dims[1] = {n}, y_dims[1];
  const CameoInput input = {own, n * (int64_t)sizeof *own, x_dims, CAMEO_STRING, 1};
  CameoOutput output = {y, n * (int64_t)sizeof *y, y_dims, CAMEO_STRING, 1};
  call = with;
  const int32_t status = cameo_stub_run(context, &input, 1, &output, 1, NULL);
  for (int64_t i = 0; i < n; ++i) free((char *)(uintptr_t)own[i].data);
  free(own);
  return status;
}

static int is(CameoString s, CameoString t) {
  return s.bytes == t.bytes && (!s.bytes || !memcmp(s.data, t.data, (size_t)s.bytes));
}

static uint64_t seed = 1;
static uint32_t next(uint32_t below) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % below;
}

static void echoes(CameoContext *context) {
  static char bytes[kMost][12];
  static CameoString x[kMost], y[kMost];
  for (int round = 0; round < 20; ++round) {
    const int n = round ? (int)next(kMost) : 0;
    for (int i = 0; i < n; ++i) {
      x[i].data = bytes[i];
      x[i].bytes = next(round % 3 ? 12 : 3);
      for (int k = 0; k < 12; ++k) bytes[i][k] = "\0\xffza"[next(4)];
    }
    check(transform(context, x, y, n, echo) == CAMEO_OK, "echo runs");
    for (int i = 0; i < n; ++i) check(is(x[i], y[i]), "echo");
  }
  check(transform(context, x, y, 50, nonsense) == CAMEO_OK, "nonsense runs");
  for (int i = 0; i < 50; ++i) check(y[i].bytes == 0, "what is no number of a string is empty");
}

/* ---- functions that make strings */

void cameo_string_concat_pairs(struct cameo_env *env, const int64_t *a, const int64_t *b, int64_t *y, int64_t count);
void cameo_string_case_lower(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t count);
void cameo_string_case_upper(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t count);
void cameo_string_split_counts(struct cameo_env *env, const int64_t *x, const int64_t *delimiter, int64_t *y,
                               int64_t count, int64_t limit);
void cameo_string_split_parts(struct cameo_env *env, const int64_t *x, const int64_t *delimiter, int64_t *y,
                              int64_t count, int64_t width, int64_t limit);
void cameo_string_match_full(struct cameo_env *env, const int64_t *x, const int32_t *program, uint8_t *y, int64_t count,
                             int64_t steps);
void cameo_string_number_parse_f32(struct cameo_env *env, const int64_t *x, uint32_t *y, int64_t count);
void cameo_string_number_print_f32(struct cameo_env *env, const uint32_t *x, int64_t *y, int64_t count);

static void twice(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t n) {
  cameo_string_concat_pairs(env, x, x, y, n);
}

/* Pieces between `by`, joined: the text without it. */
static const char *by;
static int64_t limit;
static void joined(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t n) {
  static int64_t counts[kMost], parts[64];
  const int64_t bytes = (int64_t)strlen(by), delimiter = string_made(env, memcpy(string_room(env, 8), by, 8), 8, bytes);
  cameo_string_split_counts(env, x, &delimiter, counts, n, limit);
  for (int64_t i = 0; i < n; ++i) {
    check(counts[i] <= 63, "few pieces");
    cameo_string_split_parts(env, x + i, &delimiter, parts, 1, counts[i] + 1, limit);
    check(parts[counts[i]] == 0, "padding is empty");
    y[i] = 0;
    for (int64_t k = 0; k < counts[i]; ++k) cameo_string_concat_pairs(env, y + i, parts + k, y + i, 1);
  }
}

/* Through a number and back. */
static void reread(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t n) {
  static uint32_t numbers[kMost];
  cameo_string_number_parse_f32(env, x, numbers, n);
  cameo_string_number_print_f32(env, numbers, y, n);
}

/* "a" where (a|b)*c or a word edge in front of the end matches, else "b". */
static void matched(struct cameo_env *env, const int64_t *x, int64_t *y, int64_t n) {
  enum { BYTE, FORK, HOLDS, ACCEPT, WORD_EDGE = 4 };
  static const int32_t program[][4] = {{FORK, 1, 5, 0},     {FORK, 2, 3, 0},         {BYTE, 'a', 'b', 1},
                                       {BYTE, 'c', 'c', 4}, {ACCEPT, 0, 0, 0},       {FORK, 6, 7, 0},
                                       {BYTE, 0, 255, 5},   {HOLDS, WORD_EDGE, 0, 4}};
  static uint8_t hit[kMost];
  cameo_string_match_full(env, x, program[0], hit, n, sizeof program / sizeof program[0]);
  for (int64_t i = 0; i < n; ++i) y[i] = hit[i] ? 1 : 2;
}

static void expect(CameoContext *context, void (*with)(struct cameo_env *, const int64_t *, int64_t *, int64_t),
                   const char *x, const char *y) {
  const CameoString from = {x, (int64_t)strlen(x)}, to = {y, (int64_t)strlen(y)};
  CameoString result;
  check(transform(context, &from, &result, 1, with) == CAMEO_OK, x);
  check(is(result, to), y);
}

static void makes(CameoContext *context) {
  expect(context, twice, "xy", "xyxy");
  expect(context, twice, "", "");
  expect(context, cameo_string_case_lower, "\xc3\x84rger \xe1\xba\x9e A", "\xc3\xa4rger \xc3\x9f a");
  expect(context, cameo_string_case_upper,
         "stra\xc3\x9f"
         "e \xc9\xab",
         "STRA\xc3\x9f"
         "E \xe2\xb1\xa2");
  const char *broken[] = {"\xff", "\xc3", "a\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\xaf", "\xf5\x80\x80\x80"};
  for (size_t i = 0; i < sizeof broken / sizeof *broken; ++i)
    expect(context, cameo_string_case_lower, broken[i], broken[i]);
  limit = INT64_MAX;
  by = ",\0\0\0\0\0\0";
  expect(context, joined, "a,,b,", "ab");
  expect(context, joined, ",", "");
  by = "--\0\0\0\0\0";
  expect(context, joined, "a---b--", "a-b");
  by = "\0\0\0\0\0\0\0";
  expect(context, joined, "  a \t b\n", "ab");
  limit = 1;
  expect(context, joined, "  a  b c ", "ab c ");
  limit = 0;
  expect(context, joined, " a b", "a b");
  expect(context, reread, " +0.10 ", "0.1");
  expect(context, reread, "-1e-7", "-1e-07");
  expect(context, reread, "16777217", "16777216.0");
  expect(context, reread, "1e40", "inf");
  expect(context, reread, "NaN", "nan");
  CameoString bad = {"1.5x", 4}, y;
  check(transform(context, &bad, &y, 1, reread) == CAMEO_INVALID_VALUE, "no number");
  bad.bytes = 0;
  check(transform(context, &bad, &y, 1, reread) == CAMEO_INVALID_VALUE, "nothing is no number");
  expect(context, matched, "ababc", "a");
  expect(context, matched, "ab!", "b");
  expect(context, matched, "ab", "a");
  expect(context, matched, "", "b");
  /* Anything: nothing is read that is not there. */
  static char bytes[200][40];
  static CameoString x[200], z[200];
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 200; ++i) {
      x[i].data = bytes[i];
      x[i].bytes = next(40);
      for (int k = 0; k < 40; ++k) bytes[i][k] = "\xe2\xba\xc3\x9e ,-.e1+5Aab"[next(16)];
    }
    by = round % 2 ? "\0\0\0\0\0\0\0" : ",-\0\0\0\0\0";
    limit = next(5);
    check(transform(context, x, z, 200, cameo_string_case_lower) == CAMEO_OK, "lower");
    check(transform(context, x, z, 200, cameo_string_case_upper) == CAMEO_OK, "upper");
    check(transform(context, x, z, 200, joined) == CAMEO_OK, "joined");
    check(transform(context, x, z, 200, matched) == CAMEO_OK, "matched");
    transform(context, x, z, 200, reread);
    check(transform(context, x, z, 200, twice) == CAMEO_OK, "twice");
    for (int i = 0; i < 200; ++i)
      check(z[i].bytes == 2 * x[i].bytes && !memcmp(z[i].data + x[i].bytes, x[i].data, (size_t)x[i].bytes), "doubled");
  }
}

int main(void) {
  CameoContext *context;
  check(cameo_stub_create(NULL, &context) == CAMEO_OK, "create");
  echoes(context);
  makes(context);
  check(cameo_stub_destroy(context) == CAMEO_OK, "destroy");
  if (!failures) puts("ok");
  return failures != 0;
}
