/* The runtime of artefacts (codegen/runtime/) around a model written in C, so that sanitizers see all of it: contexts
 * in several threads, own workers awake and asleep, a region within a region, failing memory, forked children. Prints
 * ok, or what failed. */
#define _GNU_SOURCE
#include "../../codegen/runtime/runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kTasks = 37, kRows = 1000 };

/* y[i] = 2 * x[i] + 1 by two regions over the workspace; the second reads what other workers wrote in the first. */
struct capture {
  const float *x;
  float *y, *twice;
  int64_t n;
};

static void nothing(struct cameo_env *env, void *capture, int64_t index) { (void)env, (void)capture, (void)index; }

static void first(struct cameo_env *env, void *capture, int64_t index) {
  const struct capture *c = capture;
  if (index == 3 && env->parallel) env->parallel(env, 2, nothing, NULL);
  for (int64_t i = index; i < c->n; i += kTasks) c->twice[i] = 2 * c->x[i];
}

static void second(struct cameo_env *env, void *capture, int64_t index) {
  const struct capture *c = capture;
  (void)env;
  for (int64_t i = kTasks - 1 - index; i < c->n; i += kTasks) c->y[i] = c->twice[i] + 1;
}

static void region(struct cameo_env *env, cameo_task task, void *capture) {
  if (env->threads > 1 && env->parallel)
    env->parallel(env, kTasks, task, capture);
  else
    for (int64_t i = 0; i < kTasks; ++i) task(env, capture, i);
}

static int64_t bytes_per_row = 4; /* of the workspace */
static char *last_workspace;      /* when there are more of them */

static void run(struct cameo_env *env, const void *const *inputs, void *const *outputs, int64_t *run_dims,
                const int64_t *capacity, const void *weights, void *workspace, const int64_t *symbols) {
  (void)run_dims, (void)capacity, (void)weights;
  if (bytes_per_row > 4) last_workspace = workspace;
  struct capture c = {inputs[0], outputs[0], workspace, symbols[0]};
  region(env, first, &c);
  region(env, second, &c);
}

static int64_t workspace_bytes(struct cameo_env *env, const int64_t *symbols) {
  return (void)env, bytes_per_row * symbols[0];
}

static const CameoDim kDims[] = {{-1, 0, 0, "n"}};
static const CameoValue kInput = {"x", CAMEO_F32, 1, kDims, -1}, kOutput = {"y", CAMEO_F32, 1, kDims, -1};
static const CameoSymbol kSymbol = {"n", 0, kRows};
static const CameoVariant kVariant = {"any", 0};
static const struct variant_code kCode = {run, workspace_bytes, NULL};
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
};

static atomic_int failures;
static void check(int condition, const char *what) {
  if (!condition && atomic_fetch_add(&failures, 1) < 10) printf("failed: %s\n", what);
}

static int run_and_compare(CameoContext *context, int64_t n, const CameoRunOptions *options) {
  static const float zero[kRows];
  float *x = malloc(sizeof zero), *y = malloc(sizeof zero);
  for (int64_t i = 0; i < kRows; ++i) x[i] = (float)i, y[i] = -1;
  int64_t in_dims[1] = {n}, out_dims[1] = {-1};
  const CameoInput input = {x, 4 * n, in_dims, CAMEO_F32, 1};
  CameoOutput output = {y, 4 * n, out_dims, CAMEO_F32, 1};
  const int32_t status = cameo_stub_run(context, &input, 1, &output, 1, options);
  if (status == CAMEO_OK) {
    check(out_dims[0] == n, "dims");
    for (int64_t i = 0; i < kRows; ++i) check(y[i] == (i < n ? 2 * x[i] + 1 : -1), "values");
  }
  free(x);
  free(y);
  return status;
}

static CameoOptions with_threads(int32_t threads) {
  CameoOptions options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.threads = threads;
  return options;
}

static void *one_thread(void *argument) {
  const int seed = (int)(intptr_t)argument;
  for (int round = 0; round < 5; ++round) {
    const CameoOptions options = with_threads(1 + (seed + round) % 4);
    CameoContext *context = NULL;
    check(cameo_stub_create(&options, &context) == CAMEO_OK, "create");
    for (int i = 0; i < 60; ++i) {
      if (i % 20 == 19) usleep(3000); /* the workers fall asleep */
      check(run_and_compare(context, (seed * 131 + i * 17) % (kRows + 1), NULL) == CAMEO_OK, "run");
    }
    check(cameo_stub_destroy(context) == CAMEO_OK, "destroy");
  }
  return NULL;
}

/* Two threads, one context: each call runs or is refused. */
static void *contender(void *context) {
  for (int i = 0; i < 300; ++i) {
    const int status = run_and_compare(context, kRows, NULL);
    check(status == CAMEO_OK || status == CAMEO_BUSY, "busy");
  }
  return NULL;
}

static int allocations_left;
static void *scarce(void *user, size_t bytes, size_t alignment) {
  (void)user;
  return allocations_left-- > 0 ? aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment) : NULL;
}
static void give_back(void *user, void *pointer, size_t bytes) { (void)user, (void)bytes, free(pointer); }

static void out_of_memory(void) {
  const CameoAllocator allocator = {scarce, give_back, NULL};
  for (int n = 0; n < 5; ++n) {
    allocations_left = n;
    CameoOptions options = with_threads(2);
    options.allocator = &allocator;
    CameoContext *context = NULL;
    int status = cameo_stub_create(&options, &context);
    if (!status) status = run_and_compare(context, kRows, NULL);
    check(status == (n < 3 ? CAMEO_OUT_OF_MEMORY : CAMEO_OK), "out of memory");
    cameo_stub_destroy(context);
  }
}

static int is_mapped(char *page) { return msync(page, 1, MS_ASYNC) == 0; }

/* Large workspaces: all of it is there, nothing behind it is, and it is given back. */
static void large_workspaces(void) {
  const int64_t megabyte = 1 << 20, sizes[] = {megabyte / 2, 2 * megabyte, 5 * megabyte + 1, 7 * megabyte};
  const CameoOptions options = with_threads(1);
  CameoContext *context = NULL;
  check(cameo_stub_create(&options, &context) == CAMEO_OK, "create");
  for (int i = 0; i < 4; ++i) {
    bytes_per_row = sizes[i];
    check(run_and_compare(context, 1, NULL) == CAMEO_OK, "run");
    check((uintptr_t)last_workspace % (sizes[i] < 2 * megabyte ? 4096 : 2 * megabyte) == 0, "aligned workspace");
    memset(last_workspace, i, (size_t)sizes[i]);
  }
  check(run_and_compare(context, 1, NULL) == CAMEO_OK, "run again");
  check(last_workspace[sizes[3] - 1] == 3, "a workspace is kept");
  check(is_mapped(last_workspace) && is_mapped(last_workspace + sizes[3] - 4096), "mapped");
  bytes_per_row = (int64_t)1 << 56;
  check(run_and_compare(context, 1, NULL) == CAMEO_OUT_OF_MEMORY, "no memory");
  bytes_per_row = 3 * megabyte;
  check(run_and_compare(context, 1, NULL) == CAMEO_OK, "after failure");
  check(is_mapped(last_workspace), "mapped");
  check(cameo_stub_destroy(context) == CAMEO_OK, "destroy");
  check(!is_mapped(last_workspace) && !is_mapped(last_workspace + 3 * megabyte - 4096), "given back");
  bytes_per_row = 4;
}

static void forked(void) {
  const CameoOptions options = with_threads(3);
  CameoContext *context = NULL;
  check(cameo_stub_create(&options, &context) == CAMEO_OK, "create");
  run_and_compare(context, kRows, NULL);
  const pid_t pid = fork();
  if (pid == 0) {
    int status = run_and_compare(context, kRows, NULL);
    if (!status) status = cameo_stub_destroy(context);
    _exit(status || failures);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  check(status == 0, "child");
  check(run_and_compare(context, kRows, NULL) == CAMEO_OK, "parent");
  cameo_stub_destroy(context);
}

int main(int argc, char **argv) {
  pthread_t threads[4];
  for (int t = 0; t < 4; ++t) pthread_create(&threads[t], NULL, one_thread, (void *)(intptr_t)t);
  for (int t = 0; t < 4; ++t) pthread_join(threads[t], NULL);
  const CameoOptions options = with_threads(2);
  CameoContext *context = NULL;
  check(cameo_stub_create(&options, &context) == CAMEO_OK, "create");
  for (int t = 0; t < 2; ++t) pthread_create(&threads[t], NULL, contender, context);
  for (int t = 0; t < 2; ++t) pthread_join(threads[t], NULL);
  check(cameo_stub_destroy(context) == CAMEO_OK, "destroy");
  out_of_memory();
  large_workspaces();
  if (argc < 2 || strcmp(argv[1], "--no-fork") != 0) forked();
  if (!failures) printf("ok\n");
  return failures != 0;
}
