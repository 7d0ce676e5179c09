/* The C code behind the interface of include/cameo/abi.h: compiled when Cameo is built, merged into every
 * artefact beside the constant `cameo_program` and the compiled kernels.
 *
 * Freestanding C11 of the baseline of each architecture. All it calls is malloc, free, mmap, munmap and madvise (for a
 * large workspace), a few functions of pthread and semaphores, and getpid (only when own workers are asked for); the
 * compiler may add memcpy, memmove, memset and memcmp. No errno, environment, locale, stdio, signal, constructor,
 * thread-local storage or floating-point mode.
 */
#ifndef CAMEO_RUNTIME_H
#define CAMEO_RUNTIME_H

#include "cameo/abi.h"
#include "cameo/codegen/env.h"

#include <stdatomic.h>
#include <stdbool.h>

/* The functions of one variant, behind trampolines that spread the arrays into arguments (codegen/artefact_stub.cpp).
 */
struct variant_code {
  void (*run)(struct cameo_env *env, const void *const *inputs, void *const *outputs, int64_t *run_dims,
              const int64_t *capacity, const void *weights, void *workspace, const int64_t *symbols);
  int64_t (*workspace_bytes)(struct cameo_env *env, const int64_t *symbols);
  void (*output_dims)(struct cameo_env *env, int64_t *dims, const int64_t *symbols); /* null: none is computed */
};

/* Everything about the model: generated (codegen/artefact_stub.cpp builds the same layout). */
struct program {
  CameoModel model;
  const struct variant_code *code; /* as many as model.variants */
  const void *weights;             /* null: create must be given them */
  int64_t output_dims;             /* sum of the outputs' ranks */
  int64_t run_dims;                /* dims that only a run can tell */
  int64_t run_outputs;             /* outputs that have one */
  /* Null, and no strings, in models that have none. */
  const struct string_hooks *string_hooks;
  const char *string_bytes;   /* of the model's strings, in the order of their bytes */
  const int64_t *string_ends; /* string i is string_bytes[string_ends[i] .. string_ends[i + 1]] */
  int64_t string_count;
};
extern const struct program cameo_program;

/* One line for the caller, cut where the room ends; always terminated when there is room at all. */
struct message {
  char *text;
  size_t room;
  size_t used;
};
struct message message_start(char *text, size_t room);
void put_text(struct message *m, const char *text);
void put_name(struct message *m, const char *name); /* in quotes, made fit for a terminal */
void put_int(struct message *m, int64_t value);

struct pool;
struct grown_block;
struct strings;

struct CameoContext {
  const struct program *program; /* &cameo_program: this is a context of this model */
  atomic_int busy;
  atomic_int in_region; /* a parallel region is open: a nested one runs where it is */
  const struct variant_code *code;
  const void *weights;
  CameoAllocator allocator;
  CameoPool caller_pool; /* parallel is null: none */
  int32_t threads;
  struct pool *pool; /* null: no own workers */
  void *workspace;   /* own, or null */
  int64_t workspace_bytes;
  struct grown_block *grown; /* memory that the running program asked for */
  struct strings *strings;   /* of the last run, or null */
  bool once;                 /* the context ends with its first run */
  size_t block_bytes;        /* of this structure and the arrays behind it */
  /* The run's arguments, checked. */
  const void **inputs;
  void **outputs;
  int64_t *input_bytes;
  int64_t *output_bytes;
  int64_t *symbols;
  int64_t *dims;     /* of all outputs */
  int64_t *run_dims; /* run_dims, then capacity */
  int64_t *capacity;
};

/* cpu.c: the CAMEO_X86_* bits that this process may use. */
uint64_t cpu_features(void);

/* context.c */
void *context_allocate(const CameoAllocator *allocator, size_t bytes);
void context_release(const CameoAllocator *allocator, void *pointer, size_t bytes);

/* workspace.c: aligned to 64 bytes at least; null when there is no memory */
void *workspace_allocate(const CameoAllocator *allocator, size_t bytes);
void workspace_release(const CameoAllocator *allocator, void *pointer, size_t bytes); /* null: does nothing */

/* tensors.c: every function returns a status and describes it in the message. */
int32_t bind_inputs(const CameoInput *inputs, int32_t count, bool data_too, int64_t *symbols, const void **data,
                    int64_t *bytes, struct message *m);
int64_t packed_bytes(int32_t dtype, const int64_t *dims,
                     int32_t rank); /* -1: a negative dim, or more than int64 holds */
int64_t element_alignment(int32_t dtype);
void declared_output_dims(const struct variant_code *code, const int64_t *symbols, int64_t *dims);
int32_t check_output_dims(const int64_t *dims, struct message *m);
int32_t bind_outputs(CameoContext *c, const CameoOutput *outputs, int32_t count, struct message *m);
bool overlap(const void *a, int64_t a_bytes, const void *b, int64_t b_bytes);
int32_t check_overlap(const CameoContext *c, const void *workspace, int64_t workspace_bytes, struct message *m);

/* strings.c: linked, and called, in models that have strings only. */
struct string_hooks {
  /* Before a run, all arguments being bound: the strings of inputs become numbers, and outputs get room for such. */
  int32_t (*begin)(CameoContext *c, const void *workspace, int64_t workspace_bytes, struct message *m);
  /* Behind a run: the numbers of outputs become strings. `outputs` may be null when all shapes are fixed. */
  int32_t (*finish)(CameoContext *c, CameoOutput *outputs, struct message *m);
  void (*release)(CameoContext *c);
};
extern const struct string_hooks cameo_string_hooks;

/* memory.c: called by compiled programs, env->pool being the context */
int64_t cameo_grow(struct cameo_env *env, char *workspace, int64_t *slots, int64_t bytes, int64_t keep);
void cameo_release(struct cameo_env *env, char *workspace, int64_t *slots);
void release_grown(CameoContext *c); /* all that is left */

/* pool.c */
int32_t pool_start(CameoContext *c, int32_t threads);
void pool_stop(CameoContext *c);
int32_t pool_after_fork(CameoContext *c); /* the workers did not follow into a forked child: starts them again */
void pool_parallel(struct cameo_env *env, int64_t tasks, cameo_task task, void *capture);

/* The exported functions, before they get the model's prefix. */
const CameoModel *cameo_stub_describe(void);
int32_t cameo_stub_create(const CameoOptions *options, CameoContext **context);
int32_t cameo_stub_destroy(CameoContext *context);
int32_t cameo_stub_run(CameoContext *context, const CameoInput *inputs, int32_t input_count, CameoOutput *outputs,
                       int32_t output_count, const CameoRunOptions *options);
int32_t cameo_stub_shape(const CameoInput *inputs, int32_t input_count, CameoOutput *outputs, int32_t output_count);
int32_t cameo_stub_workspace_size(const int64_t *symbols, int32_t symbol_count, int32_t threads, int64_t *bytes);
int32_t cameo_stub_run_once(const CameoInput *inputs, int32_t input_count, CameoOutput *outputs, int32_t output_count,
                            const CameoOptions *options, const CameoRunOptions *run_options);
const char *cameo_stub_status_text(int32_t status);
/* What the typed calls become, for models whose shapes are fixed. */
int32_t cameo_stub_call(CameoContext *context, const void *const *inputs, void *const *outputs);
int32_t cameo_stub_call_once(const void *const *inputs, void *const *outputs);

#endif
