/* Runs: arguments checked, workspace found, the variant entered. */
#include "runtime.h"

/* One task of a region that the caller's pool runs. */
struct pool_call {
  struct cameo_env *env;
  cameo_task task;
  void *capture;
};

static void call_task(void *argument, int64_t index) {
  const struct pool_call *call = argument;
  call->task(call->env, call->capture, index);
}

static void caller_parallel(struct cameo_env *env, int64_t tasks, cameo_task task, void *capture) {
  CameoContext *c = env->pool;
  if (atomic_exchange_explicit(&c->in_region, 1, memory_order_acquire)) { /* a region within a region */
    for (int64_t i = 0; i < tasks; ++i) task(env, capture, i);
    return;
  }
  struct pool_call call = {env, task, capture};
  c->caller_pool.parallel(c->caller_pool.user, tasks, call_task, &call);
  atomic_store_explicit(&c->in_region, 0, memory_order_release);
}

/* Where tensors without elements lie: a kernel that guards its reads reads the first element of an empty tensor, and
 * throws it away. Nothing is written there. */
static const _Alignas(64) char nothing[64] = {0};

static void place_empty_tensors(CameoContext *c) {
  const CameoModel *model = &cameo_program.model;
  for (int32_t i = 0; i < model->input_count; ++i)
    if (c->input_bytes[i] == 0) c->inputs[i] = nothing;
  for (int32_t i = 0; i < model->output_count; ++i)
    if (c->output_bytes[i] == 0) c->outputs[i] = (void *)(uintptr_t)nothing;
}

/* Everything after the arguments were bound. */
static int32_t execute(CameoContext *c, void *workspace, int64_t workspace_bytes, struct message *m) {
  struct cameo_env env = {0, 1, NULL, c};
  int64_t needed = c->code->workspace_bytes(&env, c->symbols);
  if (needed < 0) {
    put_text(m, "a tensor inside the model would have a negative extent: an input is too small");
    return CAMEO_DIM_OUT_OF_RANGE;
  }
  void *arena = NULL;
  if (workspace) {
    arena = (void *)(((uintptr_t)workspace + 63) & ~(uintptr_t)63);
    if (workspace_bytes - ((char *)arena - (char *)workspace) < needed) {
      put_text(m, "the workspace has ");
      put_int(m, workspace_bytes);
      put_text(m, " bytes, must have ");
      put_int(m, needed + 63);
      return CAMEO_WORKSPACE_TOO_SMALL;
    }
  }
  int32_t status = check_overlap(c, arena, arena ? needed : 0, m);
  if (status) return status;
  if (!workspace && needed > c->workspace_bytes) {
    workspace_release(&c->allocator, c->workspace, (size_t)c->workspace_bytes);
    c->workspace_bytes = 0;
    c->workspace = workspace_allocate(&c->allocator, (size_t)needed);
    if (!c->workspace) {
      put_text(m, "no memory for a workspace of ");
      put_int(m, needed);
      put_text(m, " bytes");
      return CAMEO_OUT_OF_MEMORY;
    }
    c->workspace_bytes = needed;
  }
  if (!workspace) arena = c->workspace;
  place_empty_tensors(c);
  if (cameo_program.string_hooks) {
    status = cameo_program.string_hooks->begin(c, arena, needed, m);
    if (status) return status;
  }
  if (c->pool) {
    status = pool_after_fork(c);
    if (status) return status;
    env.threads = c->threads;
    env.parallel = pool_parallel;
  } else if (c->caller_pool.parallel) {
    env.threads = 2; /* any number above 1: the tasks are the same */
    env.parallel = caller_parallel;
  }
  c->code->run(&env, c->inputs, c->outputs, c->run_dims, c->capacity, c->weights, arena, c->symbols);
  release_grown(c);
  if (env.status) put_text(m, cameo_stub_status_text(env.status));
  return env.status;
}

/* Dims that the run stored: to the caller, and against the room that there was. */
static int32_t finish_run_dims(CameoContext *c, const CameoOutput *outputs, struct message *m) {
  const CameoModel *model = &cameo_program.model;
  const int64_t *stored = c->run_dims, *capacity = c->capacity;
  int32_t status = CAMEO_OK;
  for (int32_t i = 0; i < model->output_count; ++i) {
    const CameoValue *value = &model->outputs[i];
    bool at_run = false;
    for (int32_t d = 0; d < value->rank; ++d)
      if (value->dims[d].symbol == CAMEO_DIM_AT_RUN) {
        at_run = true;
        outputs[i].dims[d] = *stored++;
      }
    if (!at_run) continue;
    const int64_t needed = packed_bytes(value->dtype, outputs[i].dims, value->rank),
                  numbers = value->dtype == CAMEO_STRING ? (int64_t)(sizeof(CameoString) / sizeof(int64_t)) : 1,
                  room = *capacity++ * numbers; /* the program's output are the strings' numbers */
    if (status || (needed >= 0 && needed <= room)) continue;
    put_text(m, "output ");
    put_name(m, value->name);
    put_text(m, ": ");
    put_int(m, needed);
    put_text(m, " bytes are needed, ");
    put_int(m, room);
    put_text(m, " are given");
    status = CAMEO_BUFFER_TOO_SMALL;
  }
  return status;
}

static int32_t run_locked(CameoContext *c, const CameoInput *inputs, int32_t input_count, CameoOutput *outputs,
                          int32_t output_count, void *workspace, int64_t workspace_bytes, struct message *m) {
  int32_t status = bind_inputs(inputs, input_count, true, c->symbols, c->inputs, c->input_bytes, m);
  if (status) return status;
  declared_output_dims(c->code, c->symbols, c->dims);
  status = check_output_dims(c->dims, m);
  if (!status) status = bind_outputs(c, outputs, output_count, m);
  if (!status) status = execute(c, workspace, workspace_bytes, m);
  if (!status && cameo_program.run_dims) status = finish_run_dims(c, outputs, m);
  if (!status && cameo_program.string_hooks) status = cameo_program.string_hooks->finish(c, outputs, m);
  return status;
}

static int32_t enter(CameoContext *c) {
  if (!c) return CAMEO_NULL_POINTER;
  if (c->program != &cameo_program) return CAMEO_BAD_CONTEXT;
  return atomic_exchange_explicit(&c->busy, 1, memory_order_acquire) ? CAMEO_BUSY : CAMEO_OK;
}

static void leave(CameoContext *c) { atomic_store_explicit(&c->busy, 0, memory_order_release); }

int32_t cameo_stub_run(CameoContext *c, const CameoInput *inputs, int32_t input_count, CameoOutput *outputs,
                       int32_t output_count, const CameoRunOptions *options) {
  static const CameoRunOptions defaults = {sizeof(CameoRunOptions), NULL, 0, NULL, 0};
  const CameoRunOptions *o = options ? options : &defaults;
  if (o->struct_size < sizeof(CameoRunOptions)) return CAMEO_BAD_OPTIONS;
  struct message m = message_start(o->message, o->message_bytes);
  if (!o->workspace && o->workspace_bytes) { // an allocation of the caller's that failed
    put_text(&m, "workspace is null, but workspace_bytes is not 0");
    return CAMEO_NULL_POINTER;
  }
  int32_t status = enter(c);
  if (status) {
    put_text(&m, cameo_stub_status_text(status));
    return status;
  }
  status = run_locked(c, inputs, input_count, outputs, output_count, o->workspace, o->workspace_bytes, &m);
  leave(c);
  return status;
}

int32_t cameo_stub_run_once(const CameoInput *inputs, int32_t input_count, CameoOutput *outputs, int32_t output_count,
                            const CameoOptions *options, const CameoRunOptions *run_options) {
  CameoContext *c = NULL;
  int32_t status = cameo_stub_create(options, &c);
  if (status) return status;
  c->once = true;
  status = cameo_stub_run(c, inputs, input_count, outputs, output_count, run_options);
  cameo_stub_destroy(c);
  return status;
}

/* The typed call: fixed shapes, so that only the pointers can be wrong. */
static int32_t call_locked(CameoContext *c, const void *const *inputs, void *const *outputs) {
  const CameoModel *model = &cameo_program.model;
  struct message none = message_start(NULL, 0);
  for (int32_t i = 0; i < model->input_count; ++i) {
    const CameoValue *value = &model->inputs[i];
    if (value->bytes && !inputs[i]) return CAMEO_NULL_POINTER;
    if ((uintptr_t)inputs[i] % (uintptr_t)element_alignment(value->dtype)) return CAMEO_MISALIGNED;
    c->inputs[i] = inputs[i];
    c->input_bytes[i] = value->bytes;
  }
  for (int32_t i = 0; i < model->output_count; ++i) {
    const CameoValue *value = &model->outputs[i];
    if (value->bytes && !outputs[i]) return CAMEO_NULL_POINTER;
    if ((uintptr_t)outputs[i] % (uintptr_t)element_alignment(value->dtype)) return CAMEO_MISALIGNED;
    c->outputs[i] = outputs[i];
    c->output_bytes[i] = value->bytes;
  }
  const int32_t status = execute(c, NULL, 0, &none);
  return !status && cameo_program.string_hooks ? cameo_program.string_hooks->finish(c, NULL, &none) : status;
}

int32_t cameo_stub_call(CameoContext *c, const void *const *inputs, void *const *outputs) {
  int32_t status = enter(c);
  if (status) return status;
  status = call_locked(c, inputs, outputs);
  leave(c);
  return status;
}

int32_t cameo_stub_call_once(const void *const *inputs, void *const *outputs) {
  CameoContext *c = NULL;
  int32_t status = cameo_stub_create(NULL, &c);
  if (status) return status;
  status = call_locked(c, inputs, outputs);
  cameo_stub_destroy(c);
  return status;
}

/* The variant that create would choose, for questions that need no context. */
static const struct variant_code *default_code(void) {
  const CameoModel *model = &cameo_program.model;
  const uint64_t have = cpu_features();
  for (int32_t v = model->variant_count - 1; v >= 0; --v)
    if ((model->variants[v].features & ~have) == 0) return &cameo_program.code[v];
  return NULL;
}

int32_t cameo_stub_shape(const CameoInput *inputs, int32_t input_count, CameoOutput *outputs, int32_t output_count) {
  const CameoModel *model = &cameo_program.model;
  struct message none = message_start(NULL, 0);
  const struct variant_code *code = default_code();
  if (!code) return CAMEO_CPU_UNSUPPORTED;
  int64_t symbols[model->symbol_count + 1], all_dims[cameo_program.output_dims + 1]; /* bounded by build_artefact */
  int32_t status = bind_inputs(inputs, input_count, false, symbols, NULL, NULL, &none);
  if (status) return status;
  if (output_count != model->output_count) return CAMEO_WRONG_COUNT;
  if (output_count && !outputs) return CAMEO_NULL_POINTER;
  declared_output_dims(code, symbols, all_dims);
  status = check_output_dims(all_dims, &none);
  if (status) return status;
  const int64_t *dims = all_dims;
  for (int32_t i = 0; i < output_count; ++i) {
    const CameoValue *value = &model->outputs[i];
    if (value->rank && !outputs[i].dims) return CAMEO_NULL_POINTER;
    bool at_run = false;
    for (int32_t d = 0; d < value->rank; ++d) {
      outputs[i].dims[d] = dims[d];
      at_run |= value->dims[d].symbol == CAMEO_DIM_AT_RUN;
    }
    outputs[i].dtype = value->dtype;
    outputs[i].rank = value->rank;
    outputs[i].bytes = at_run ? -1 : packed_bytes(value->dtype, dims, value->rank);
    dims += value->rank;
  }
  return CAMEO_OK;
}

/* Enough for every variant that create may choose on this CPU. */
int32_t cameo_stub_workspace_size(const int64_t *symbols, int32_t symbol_count, int32_t threads, int64_t *bytes) {
  const CameoModel *model = &cameo_program.model;
  if (!bytes || (symbol_count > 0 && !symbols)) return CAMEO_NULL_POINTER;
  if (symbol_count != model->symbol_count) return CAMEO_WRONG_COUNT;
  if (threads < 0) return CAMEO_BAD_OPTIONS;
  for (int32_t i = 0; i < symbol_count; ++i)
    if (symbols[i] < model->symbols[i].min || symbols[i] > model->symbols[i].max) return CAMEO_DIM_OUT_OF_RANGE;
  const uint64_t have = cpu_features();
  int64_t most = -1;
  for (int32_t v = 0; v < model->variant_count; ++v) {
    if (model->variants[v].features & ~have) continue;
    struct cameo_env env = {0, 1, NULL, NULL};
    const int64_t needed = cameo_program.code[v].workspace_bytes(&env, symbols);
    if (needed < 0) return CAMEO_DIM_OUT_OF_RANGE; /* for all variants or none */
    if (needed > most) most = needed;
  }
  if (most < 0) return CAMEO_CPU_UNSUPPORTED;
  *bytes = most + 63;
  return CAMEO_OK;
}
