/* Own workers: fork and join by spinning, with sleep after a while, and never waiting for a worker that has not begun.
 *
 * Shares. Worker t of n has the tasks [tasks * t / n, tasks * (t + 1) / n), the caller is worker 0: the same task falls
 * to the same worker in every run, which keeps its weights in that core's cache. A region is one number, the epoch: the
 * caller writes the region's description, advances the epoch and runs its own share. A share must be claimed, by moving
 * `claimed` from the epoch before to this one, by its worker or, once the caller has nothing else to do, by the caller.
 * So a worker that is asleep, waking up or not scheduled costs nothing, and only who holds a claim reads the
 * description, which stays until all shares are done.
 *
 * Waiting for work. A worker spins on the epoch for some 50 to 200 us, which is longer than the serial gaps within a
 * run; then it sets its flag, looks at the epoch again, and sleeps on its semaphore. The caller advances the epoch,
 * then takes every flag that is set and posts that worker's semaphore. So a worker that finds the epoch advanced either
 * takes its flag back or, if the caller was faster, consumes the post that is on its way.
 *
 * Waiting for the end. The caller spins on the number of shares that are not done; a worker that takes longer (it lost
 * its core) is waited for by locking the mutex that it holds while it works.
 *
 * Semaphores and mutexes rather than bare futexes: no system call of our own, the same on every libc, understood by
 * sanitizers; and what the caller's thread blocks on neither changes errno nor is a cancellation point.
 */
#include "runtime.h"

typedef unsigned long thread_handle; /* pthread_t of glibc and musl, both a word */
union attributes {                   /* pthread_attr_t is at most 64 bytes on 64-bit Linux */
  char bytes[128];
  void *align;
};
union semaphore { /* sem_t is at most 32 bytes */
  char bytes[64];
  void *align;
};
union mutex { /* pthread_mutex_t is at most 48 bytes */
  char bytes[64];
  void *align;
};
int pthread_create(thread_handle *thread, const void *attributes, void *(*start)(void *), void *argument);
int pthread_join(thread_handle thread, void **result);
int pthread_attr_init(void *attributes);
int pthread_attr_setstacksize(void *attributes, size_t bytes);
int pthread_attr_destroy(void *attributes);
int pthread_mutex_init(void *mutex, const void *attributes);
int pthread_mutex_lock(void *mutex);
int pthread_mutex_unlock(void *mutex);
int pthread_mutex_destroy(void *mutex);
int sem_init(void *semaphore, int shared, unsigned value);
int sem_wait(void *semaphore);
int sem_post(void *semaphore);
int sem_destroy(void *semaphore);
int getpid(void);

#define SPINS 4000 /* of `pause`: 40 to 140 cycles each */
#define STACK_BYTES (1u << 20)

struct worker {
  _Alignas(64) _Atomic uint32_t claimed; /* the last epoch whose share was claimed */
  atomic_int asleep;
  struct pool *pool;
  thread_handle thread;
  int32_t number;      /* 1.. */
  union mutex working; /* held by the worker while it may hold a claim */
  union semaphore wake;
};

struct pool {
  /* Workers spin on this line: nothing else that changes within a region may lie in it. */
  _Alignas(64) _Atomic uint32_t epoch;
  atomic_bool stop;
  /* The region; written before the epoch advances. */
  _Alignas(64) struct cameo_env *env;
  cameo_task task;
  void *capture;
  int64_t tasks;
  int32_t threads; /* workers and the caller */
  int process;
  size_t block_bytes;
  _Alignas(64) atomic_int pending; /* workers' shares that are not done */
  struct worker workers[];         /* threads - 1 */
};

static inline void pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* floor(tasks * part / parts) without overflow. */
static int64_t share(int64_t tasks, int32_t part, int32_t parts) {
  return tasks / parts * part + tasks % parts * part / parts;
}

static void run_share(struct pool *p, int32_t number) {
  const int64_t end = share(p->tasks, number + 1, p->threads);
  for (int64_t i = share(p->tasks, number, p->threads); i < end; ++i) p->task(p->env, p->capture, i);
}

static bool claim(struct worker *w, uint32_t epoch) {
  uint32_t before = epoch - 1;
  return atomic_load_explicit(&w->claimed, memory_order_relaxed) == before &&
         atomic_compare_exchange_strong_explicit(&w->claimed, &before, epoch, memory_order_acq_rel,
                                                 memory_order_relaxed);
}

/* Until the epoch is not `seen` any more. */
static void wait_for_region(struct worker *w, uint32_t seen) {
  struct pool *p = w->pool;
  for (int i = 0; i < SPINS; ++i) {
    if (atomic_load_explicit(&p->epoch, memory_order_acquire) != seen) return;
    pause();
  }
  atomic_store(&w->asleep, 1);
  if (atomic_load(&p->epoch) != seen && atomic_exchange(&w->asleep, 0)) return;
  while (sem_wait(&w->wake)) { /* interrupted by a signal */
  }
}

static void *work(void *argument) {
  struct worker *w = argument;
  struct pool *p = w->pool;
  for (uint32_t seen = 0;;) {
    wait_for_region(w, seen);
    if (atomic_load_explicit(&p->stop, memory_order_relaxed)) return NULL;
    seen = atomic_load_explicit(&p->epoch, memory_order_acquire);
    pthread_mutex_lock(&w->working);
    if (claim(w, seen)) {
      run_share(p, w->number);
      atomic_fetch_sub_explicit(&p->pending, 1, memory_order_release);
    }
    pthread_mutex_unlock(&w->working);
  }
}

static uint32_t open_region(struct pool *p, int32_t workers) {
  const uint32_t epoch = atomic_fetch_add(&p->epoch, 1) + 1;
  for (int32_t i = 0; i < workers; ++i) {
    struct worker *w = &p->workers[i];
    if (atomic_load(&w->asleep) && atomic_exchange(&w->asleep, 0)) sem_post(&w->wake);
  }
  return epoch;
}

void pool_parallel(struct cameo_env *env, int64_t tasks, cameo_task task, void *capture) {
  CameoContext *c = env->pool;
  struct pool *p = c->pool;
  if (atomic_exchange_explicit(&c->in_region, 1, memory_order_acquire)) { /* a region within a region */
    for (int64_t i = 0; i < tasks; ++i) task(env, capture, i);
    return;
  }
  const int32_t workers = p->threads - 1;
  p->env = env;
  p->task = task;
  p->capture = capture;
  p->tasks = tasks;
  atomic_store_explicit(&p->pending, workers, memory_order_relaxed);
  const uint32_t epoch = open_region(p, workers);
  run_share(p, 0);
  for (int32_t i = 0; i < workers; ++i)
    if (claim(&p->workers[i], epoch)) {
      run_share(p, i + 1);
      atomic_fetch_sub_explicit(&p->pending, 1, memory_order_relaxed);
    }
  /* From here on every share has been claimed. */
  for (int i = 0; i < SPINS && atomic_load_explicit(&p->pending, memory_order_acquire); ++i) pause();
  for (int32_t i = 0; i < workers && atomic_load_explicit(&p->pending, memory_order_acquire); ++i) {
    pthread_mutex_lock(&p->workers[i].working);
    pthread_mutex_unlock(&p->workers[i].working);
  }
  atomic_store_explicit(&c->in_region, 0, memory_order_release);
}

static void stop_workers(struct pool *p, int32_t count) {
  atomic_store_explicit(&p->stop, true, memory_order_relaxed);
  open_region(p, count);
  for (int32_t i = 0; i < count; ++i) {
    pthread_join(p->workers[i].thread, NULL);
    sem_destroy(&p->workers[i].wake);
    pthread_mutex_destroy(&p->workers[i].working);
  }
}

/* How many of the pool's workers could be started. */
static int32_t start_workers(struct pool *p) {
  union attributes attributes;
  if (pthread_attr_init(&attributes)) return 0;
  int32_t started = 0;
  bool ok = pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0;
  while (ok && started < p->threads - 1) {
    struct worker *w = &p->workers[started];
    w->pool = p;
    w->number = started + 1;
    atomic_init(&w->claimed, 0);
    atomic_init(&w->asleep, 0);
    ok = sem_init(&w->wake, 0, 0) == 0 && pthread_mutex_init(&w->working, NULL) == 0 &&
         pthread_create(&w->thread, &attributes, work, w) == 0;
    started += ok;
  }
  pthread_attr_destroy(&attributes);
  return started;
}

int32_t pool_start(CameoContext *c, int32_t threads) {
  const size_t bytes = sizeof(struct pool) + (size_t)(threads - 1) * sizeof(struct worker);
  struct pool *p = context_allocate(&c->allocator, bytes);
  if (!p) return CAMEO_OUT_OF_MEMORY;
  atomic_init(&p->epoch, 0);
  atomic_init(&p->pending, 0);
  atomic_init(&p->stop, false);
  p->threads = threads;
  p->process = getpid();
  p->block_bytes = bytes;
  const int32_t started = start_workers(p);
  if (started < threads - 1) {
    stop_workers(p, started);
    context_release(&c->allocator, p, bytes);
    return CAMEO_NO_THREADS;
  }
  c->pool = p;
  return CAMEO_OK;
}

void pool_stop(CameoContext *c) {
  struct pool *p = c->pool;
  if (p->process == getpid()) stop_workers(p, p->threads - 1);
  context_release(&c->allocator, p, p->block_bytes);
  c->pool = NULL;
}

int32_t pool_after_fork(CameoContext *c) {
  struct pool *p = c->pool;
  if (p->process == getpid()) return CAMEO_OK;
  const int32_t status = pool_start(c, c->threads);
  if (status) return status;
  context_release(&c->allocator, p, p->block_bytes);
  return CAMEO_OK;
}
