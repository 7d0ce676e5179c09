/* Contexts: options checked, a variant chosen, memory and workers taken; and everything given back. */
#include "runtime.h"

#define MAX_THREADS 1024

void *malloc(size_t bytes);
void free(void *pointer);

/* Blocks are aligned to 64 bytes. malloc's own pointer stands in front of the block. */
void *context_allocate(const CameoAllocator *allocator, size_t bytes) {
  if (allocator->allocate) {
    void *block = allocator->allocate(allocator->user, bytes, 64);
    if ((uintptr_t)block % 64 == 0) return block;
    allocator->release(allocator->user, block, bytes);
    return NULL;
  }
  if (bytes > SIZE_MAX / 2) return NULL;
  char *raw = malloc(bytes + 64 + sizeof(void *));
  if (!raw) return NULL;
  void **block = (void **)(((uintptr_t)raw + sizeof(void *) + 63) & ~(uintptr_t)63);
  block[-1] = raw;
  return block;
}

void context_release(const CameoAllocator *allocator, void *pointer, size_t bytes) {
  if (!pointer) return;
  if (allocator->allocate)
    allocator->release(allocator->user, pointer, bytes);
  else
    free(((void **)pointer)[-1]);
}

static bool same_text(const char *a, const char *b) {
  while (*a && *a == *b) ++a, ++b;
  return *a == *b;
}

/* The last variant (of that name, if one is given) that the CPU supports. */
static int32_t choose_variant(const char *name, int32_t *chosen, struct message *m) {
  const CameoModel *model = &cameo_program.model;
  const uint64_t have = cpu_features();
  const char *unsupported = NULL;
  for (int32_t v = model->variant_count - 1; v >= 0; --v) {
    if (name && !same_text(name, model->variants[v].name)) continue;
    if ((model->variants[v].features & ~have) == 0) {
      *chosen = v;
      return CAMEO_OK;
    }
    unsupported = model->variants[v].name;
  }
  put_text(m, unsupported ? "the CPU cannot run variant " : "no variant ");
  put_name(m, unsupported ? unsupported : name);
  return unsupported ? CAMEO_CPU_UNSUPPORTED : CAMEO_NO_SUCH_VARIANT;
}

static int32_t check_options(const CameoOptions *o, struct message *m) {
  const CameoModel *model = &cameo_program.model;
  if (o->threads < 0 || o->threads > MAX_THREADS || o->reserved || (o->pool && o->threads > 1)) {
    put_text(m, o->pool && o->threads > 1 ? "threads must be 0 with a pool, is " : "threads must be 0..1024, is ");
    put_int(m, o->threads);
    return CAMEO_BAD_OPTIONS;
  }
  if (o->pool && !o->pool->parallel) {
    put_text(m, "pool.parallel is null");
    return CAMEO_NULL_POINTER;
  }
  if (o->allocator && (!o->allocator->allocate || !o->allocator->release)) {
    put_text(m, "allocator.allocate or allocator.release is null");
    return CAMEO_NULL_POINTER;
  }
  if (!o->weights && o->weights_bytes) { // something that failed to load, not a wish for the library's own
    put_text(m, "weights is null, but weights_bytes is not 0");
    return CAMEO_NULL_POINTER;
  }
  if (o->weights && o->weights_bytes != model->weights_bytes) {
    put_text(m, "the weights have ");
    put_int(m, o->weights_bytes);
    put_text(m, " bytes, must have ");
    put_int(m, model->weights_bytes);
    return CAMEO_BAD_WEIGHTS;
  }
  if ((uintptr_t)o->weights % 64) {
    put_text(m, "the weights are not aligned to 64 bytes");
    return CAMEO_MISALIGNED;
  }
  return CAMEO_OK;
}

static size_t take(size_t *used, int64_t count) {
  size_t offset = *used;
  *used += (size_t)count * 8;
  return offset;
}

int32_t cameo_stub_create(const CameoOptions *options, CameoContext **context) {
  static const CameoOptions defaults = {sizeof(CameoOptions), 0, 0, NULL, NULL, NULL, NULL, 0, NULL, 0};
  const CameoModel *model = &cameo_program.model;
  if (!context) return CAMEO_NULL_POINTER;
  *context = NULL;
  const CameoOptions *o = options ? options : &defaults;
  if (o->struct_size < sizeof(CameoOptions)) return CAMEO_BAD_OPTIONS;
  struct message m = message_start(o->message, o->message_bytes);
  int32_t status = check_options(o, &m), variant = 0;
  if (!status) status = choose_variant(o->variant, &variant, &m);
  if (status) return status;
  const void *weights = o->weights ? o->weights : cameo_program.weights;
  if (!weights && model->weights_bytes) {
    put_text(&m, "the weights are not in the library: options.weights is required");
    return CAMEO_BAD_WEIGHTS;
  }

  CameoAllocator allocator = {NULL, NULL, NULL};
  if (o->allocator) allocator = *o->allocator;
  size_t bytes = sizeof(CameoContext);
  const size_t inputs = take(&bytes, model->input_count), outputs = take(&bytes, model->output_count),
               input_bytes = take(&bytes, model->input_count), output_bytes = take(&bytes, model->output_count),
               symbols = take(&bytes, model->symbol_count), dims = take(&bytes, cameo_program.output_dims),
               run_dims = take(&bytes, cameo_program.run_dims), capacity = take(&bytes, cameo_program.run_outputs);
  char *block = context_allocate(&allocator, bytes);
  if (!block) return CAMEO_OUT_OF_MEMORY;
  CameoContext *c = (CameoContext *)block;
  c->program = &cameo_program;
  atomic_init(&c->busy, 0);
  atomic_init(&c->in_region, 0);
  c->code = &cameo_program.code[variant];
  c->weights = weights;
  c->allocator = allocator;
  c->caller_pool.parallel = NULL;
  c->caller_pool.user = NULL;
  if (o->pool) c->caller_pool = *o->pool;
  c->threads = o->threads > 1 ? o->threads : 1;
  c->pool = NULL;
  c->workspace = NULL;
  c->workspace_bytes = 0;
  c->grown = NULL;
  c->strings = NULL;
  c->once = false;
  c->block_bytes = bytes;
  c->inputs = (const void **)(block + inputs);
  c->outputs = (void **)(block + outputs);
  c->input_bytes = (int64_t *)(block + input_bytes);
  c->output_bytes = (int64_t *)(block + output_bytes);
  c->symbols = (int64_t *)(block + symbols);
  c->dims = (int64_t *)(block + dims);
  c->run_dims = (int64_t *)(block + run_dims);
  c->capacity = (int64_t *)(block + capacity);
  if (c->threads > 1) status = pool_start(c, c->threads);
  if (status) {
    context_release(&allocator, c, bytes);
    return status;
  }
  *context = c;
  return CAMEO_OK;
}

int32_t cameo_stub_destroy(CameoContext *c) {
  if (!c) return CAMEO_OK;
  if (c->program != &cameo_program) return CAMEO_BAD_CONTEXT;
  if (atomic_exchange_explicit(&c->busy, 1, memory_order_acquire)) return CAMEO_BUSY;
  if (c->pool) pool_stop(c);
  if (c->strings) cameo_program.string_hooks->release(c);
  const CameoAllocator allocator = c->allocator;
  workspace_release(&allocator, c->workspace, (size_t)c->workspace_bytes);
  c->program = NULL;
  context_release(&allocator, c, c->block_bytes);
  return CAMEO_OK;
}

const CameoModel *cameo_stub_describe(void) { return &cameo_program.model; }
