/* The environment of a running kernel: what every compiled Loop IR function receives as its first argument.
 *
 * One environment belongs to one run of a program. Generated code writes `status` (once, atomically) and calls
 * `parallel`; all else belongs to whoever starts the run: the runtime stub in an artefact, a test, a probe. Plain C,
 * fixed layout on LP64 targets: codegen addresses the fields by offset (checked in codegen/lower.cpp).
 *
 * The native signature of a Loop IR function `f(p...) -> r`:  r f(struct cameo_env *env, p...)
 *   buffers are pointers; i1 is passed as a byte holding 0 or 1; other scalars by value. A function without results
 * returns void. Vectors and several results occur only between functions of one module.
 */
#ifndef CAMEO_CODEGEN_ENV_H
#define CAMEO_CODEGEN_ENV_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cameo_env;

/* One task of a parallel region: `capture` is read-only and lives until the region ends. */
typedef void (*cameo_task)(struct cameo_env *env, void *capture, int64_t index);

struct cameo_env {
  int32_t status;  /* 0, or the first failed check's status: set once by a relaxed compare-and-exchange from 0 */
  int32_t threads; /* at most 1: generated code runs the tasks itself, in order, and never calls `parallel` */
  /* Runs task(env, capture, i) for each i in [0, tasks), in any order on any threads, and returns when all have ended.
   * Every write of a task happens before the return. May be null: as threads <= 1. Called for two tasks or more, and
   * never from inside a task. */
  void (*parallel)(struct cameo_env *env, int64_t tasks, cameo_task task, void *capture);
  void *pool; /* for the owner of `parallel` and of memory that a run asks for; generated code does not look at it */
};

#ifdef __cplusplus
}
#endif
#endif
