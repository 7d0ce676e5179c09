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

int main(void) {
  CameoContext *context;
  check(cameo_stub_create(NULL, &context) == CAMEO_OK, "create");
  echoes(context);
  check(cameo_stub_destroy(context) == CAMEO_OK, "destroy");
  if (!failures) puts("ok");
  return failures != 0;
}
