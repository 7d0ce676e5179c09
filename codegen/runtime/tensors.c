/* The caller's tensors against the model's: every rule of the interface is checked here, before any byte of data is
 * touched. Symbols get their values from the inputs' dims, the outputs' dims follow from the symbols. */
#include "runtime.h"

static const struct {
  uint8_t bits, alignment;
} kElements[] = {
    /* by ONNX number: 0 never occurs */
    {0, 1}, {32, 4}, {8, 1},  {8, 1},  {16, 2}, {16, 2}, {32, 4},  {64, 8}, {128, 8},
    {8, 1}, {16, 2}, {64, 8}, {32, 4}, {64, 8}, {64, 4}, {128, 8}, {16, 2}, {8, 1},
    {8, 1}, {8, 1},  {8, 1},  {4, 1},  {4, 1},  {4, 1},  {8, 1},   {2, 1},  {2, 1},
};

int64_t element_alignment(int32_t dtype) { return kElements[dtype].alignment; }

int64_t packed_bytes(int32_t dtype, const int64_t *dims, int32_t rank) {
  int64_t bits = kElements[dtype].bits;
  bool wrong = false, empty = false;
  for (int32_t i = 0; i < rank; ++i) {
    empty |= dims[i] == 0;
    wrong |= dims[i] < 0;
  }
  if (wrong) return -1;
  if (empty) return 0;
  for (int32_t i = 0; i < rank; ++i)
    if (__builtin_mul_overflow(bits, dims[i], &bits)) return -1;
  return bits > INT64_MAX - 7 ? -1 : (bits + 7) / 8;
}

/* The tensor that a check is about. */
struct subject {
  const char *kind; /* "input " */
  const CameoValue *value;
  struct message *message;
};

static struct message *begin(const struct subject *s) {
  put_text(s->message, s->kind);
  put_name(s->message, s->value->name);
  put_text(s->message, ": ");
  return s->message;
}

static int32_t fail(const struct subject *s, const char *what, int32_t status) {
  put_text(begin(s), what);
  return status;
}

static void put_must(struct message *m, const char *what, int64_t is, int64_t must) {
  put_text(m, what);
  put_text(m, " is ");
  put_int(m, is);
  put_text(m, ", must be ");
  put_int(m, must);
}

static int32_t fail_must(const struct subject *s, const char *what, int64_t is, int64_t must, int32_t status) {
  put_must(begin(s), what, is, must);
  return status;
}

static struct message *begin_dim(const struct subject *s, int32_t axis, int64_t is) {
  struct message *m = begin(s);
  put_text(m, "dim ");
  put_int(m, axis);
  put_text(m, " is ");
  put_int(m, is);
  return m;
}

/* What inputs and outputs have in common. */
static int32_t check_kind(const struct subject *s, int32_t dtype, int32_t rank, const void *dims) {
  if (dtype != s->value->dtype) return fail_must(s, "dtype", dtype, s->value->dtype, CAMEO_WRONG_DTYPE);
  if (rank != s->value->rank) return fail_must(s, "rank", rank, s->value->rank, CAMEO_WRONG_RANK);
  return rank && !dims ? fail(s, "dims is null", CAMEO_NULL_POINTER) : CAMEO_OK;
}

static int32_t check_data(const struct subject *s, const void *data, int64_t bytes, int64_t needed) {
  if (bytes < needed) {
    struct message *m = begin(s);
    put_int(m, needed);
    put_text(m, " bytes are needed, ");
    put_int(m, bytes);
    put_text(m, " are given");
    return CAMEO_BUFFER_TOO_SMALL;
  }
  if (!needed) return CAMEO_OK;
  if (!data) return fail(s, "data is null", CAMEO_NULL_POINTER);
  if ((uintptr_t)data % (uintptr_t)element_alignment(s->value->dtype))
    return fail(s, "data is not aligned to its element type", CAMEO_MISALIGNED);
  return CAMEO_OK;
}

static int32_t bind_dims(const struct subject *s, const int64_t *dims, int64_t *symbols) {
  for (int32_t i = 0; i < s->value->rank; ++i) {
    const CameoDim *dim = &s->value->dims[i];
    if (dim->symbol < 0) {
      if (dims[i] == dim->extent) continue;
      put_text(begin_dim(s, i, dims[i]), ", must be ");
      put_int(s->message, dim->extent);
      return CAMEO_WRONG_DIM;
    }
    const CameoSymbol *symbol = &cameo_program.model.symbols[dim->symbol];
    if (dims[i] < symbol->min || dims[i] > symbol->max) {
      struct message *m = begin_dim(s, i, dims[i]);
      put_text(m, ", but symbol ");
      put_name(m, symbol->name);
      put_text(m, " must be in ");
      put_int(m, symbol->min);
      put_text(m, "..");
      put_int(m, symbol->max);
      return CAMEO_DIM_OUT_OF_RANGE;
    }
    int64_t *value = &symbols[dim->symbol];
    if (*value >= 0 && *value != dims[i]) {
      struct message *m = begin_dim(s, i, dims[i]);
      put_text(m, ", but symbol ");
      put_name(m, symbol->name);
      put_text(m, " is ");
      put_int(m, *value);
      put_text(m, " already");
      return CAMEO_SYMBOL_CONFLICT;
    }
    *value = dims[i];
  }
  return CAMEO_OK;
}

/* Fills symbols, and with data_too data and bytes, of all inputs. */
int32_t bind_inputs(const CameoInput *inputs, int32_t count, bool data_too, int64_t *symbols, const void **data,
                    int64_t *bytes, struct message *m) {
  const CameoModel *model = &cameo_program.model;
  if (count != model->input_count) {
    put_must(m, "number of inputs", count, model->input_count);
    return CAMEO_WRONG_COUNT;
  }
  if (count && !inputs) {
    put_text(m, "inputs is null");
    return CAMEO_NULL_POINTER;
  }
  for (int32_t i = 0; i < model->symbol_count; ++i) symbols[i] = -1;
  for (int32_t i = 0; i < count; ++i) {
    const CameoInput *input = &inputs[i];
    const struct subject s = {"input ", &model->inputs[i], m};
    int32_t status = check_kind(&s, input->dtype, input->rank, input->dims);
    if (!status) status = bind_dims(&s, input->dims, symbols);
    if (status) return status;
    const int64_t needed = packed_bytes(input->dtype, input->dims, input->rank);
    if (needed < 0) return fail(&s, "more elements than memory can hold", CAMEO_DIM_OUT_OF_RANGE);
    if (!data_too) continue;
    status = check_data(&s, input->data, input->bytes, needed);
    if (status) return status;
    data[i] = input->data;
    bytes[i] = needed;
  }
  return CAMEO_OK;
}

void declared_output_dims(const struct variant_code *code, const int64_t *symbols, int64_t *dims) {
  const CameoModel *model = &cameo_program.model;
  if (code->output_dims) {
    struct cameo_env env = {0, 1, NULL, NULL};
    code->output_dims(&env, dims, symbols);
    return;
  }
  for (int32_t i = 0; i < model->output_count; ++i)
    for (int32_t d = 0; d < model->outputs[i].rank; ++d) {
      const CameoDim *dim = &model->outputs[i].dims[d];
      *dims++ = dim->symbol >= 0 ? symbols[dim->symbol] : dim->extent;
    }
}

/* No computed dim is negative, no output has more bytes than int64 holds. */
int32_t check_output_dims(const int64_t *dims, struct message *m) {
  const CameoModel *model = &cameo_program.model;
  for (int32_t i = 0; i < model->output_count; ++i) {
    const struct subject s = {"output ", &model->outputs[i], m};
    bool at_run = false;
    for (int32_t d = 0; d < s.value->rank; ++d) {
      at_run |= s.value->dims[d].symbol == CAMEO_DIM_AT_RUN;
      if (dims[d] >= 0 || s.value->dims[d].symbol == CAMEO_DIM_AT_RUN) continue;
      begin_dim(&s, d, dims[d]);
      return CAMEO_DIM_OUT_OF_RANGE;
    }
    if (!at_run && packed_bytes(s.value->dtype, dims, s.value->rank) < 0)
      return fail(&s, "more elements than memory can hold", CAMEO_DIM_OUT_OF_RANGE);
    dims += s.value->rank;
  }
  return CAMEO_OK;
}

/* Checks the outputs against c->dims and writes the caller's dims; fills data, bytes and capacity. All dims are written
 * before the first buffer that is too small is reported. */
int32_t bind_outputs(CameoContext *c, const CameoOutput *outputs, int32_t count, struct message *m) {
  const CameoModel *model = &cameo_program.model;
  if (count != model->output_count) {
    put_must(m, "number of outputs", count, model->output_count);
    return CAMEO_WRONG_COUNT;
  }
  if (count && !outputs) {
    put_text(m, "outputs is null");
    return CAMEO_NULL_POINTER;
  }
  const int64_t *dims = c->dims;
  for (int32_t i = 0; i < count; ++i) {
    const struct subject s = {"output ", &model->outputs[i], m};
    const int32_t status = check_kind(&s, outputs[i].dtype, outputs[i].rank, outputs[i].dims);
    if (status) return status;
    for (int32_t d = 0; d < outputs[i].rank; ++d) outputs[i].dims[d] = *dims++;
  }
  dims = c->dims;
  int64_t *capacity = c->capacity;
  for (int32_t i = 0; i < count; ++i) {
    const struct subject s = {"output ", &model->outputs[i], m};
    bool at_run = false;
    for (int32_t d = 0; d < s.value->rank; ++d) at_run |= s.value->dims[d].symbol == CAMEO_DIM_AT_RUN;
    /* What only a run can tell is checked after it, against what the run may write. */
    const int64_t given = outputs[i].bytes > 0 ? outputs[i].bytes : 0,
                  needed = at_run ? given : packed_bytes(s.value->dtype, dims, s.value->rank);
    const int32_t status = check_data(&s, outputs[i].data, outputs[i].bytes, needed);
    if (status) return status;
    if (at_run) *capacity++ = needed;
    c->outputs[i] = outputs[i].data;
    c->output_bytes[i] = c->once && s.value->dtype == CAMEO_STRING ? given : needed; /* text goes behind */
    dims += s.value->rank;
  }
  return CAMEO_OK;
}

bool overlap(const void *a, int64_t a_bytes, const void *b, int64_t b_bytes) {
  const uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
  return a_bytes > 0 && b_bytes > 0 && x < y + (uintptr_t)b_bytes && y < x + (uintptr_t)a_bytes;
}

int32_t check_overlap(const CameoContext *c, const void *workspace, int64_t workspace_bytes, struct message *m) {
  const CameoModel *model = &cameo_program.model;
  for (int32_t o = 0; o < model->output_count; ++o) {
    const void *data = c->outputs[o];
    const int64_t bytes = c->output_bytes[o];
    const char *other = NULL;
    for (int32_t i = 0; i < model->input_count && !other; ++i)
      if (overlap(data, bytes, c->inputs[i], c->input_bytes[i])) other = model->inputs[i].name;
    for (int32_t i = 0; i < o && !other; ++i)
      if (overlap(data, bytes, c->outputs[i], c->output_bytes[i])) other = model->outputs[i].name;
    if (!other && overlap(data, bytes, workspace, workspace_bytes)) other = "workspace";
    if (!other && overlap(data, bytes, c->weights, model->weights_bytes)) other = "weights";
    if (!other) continue;
    const struct subject s = {"output ", &model->outputs[o], m};
    put_text(begin(&s), "overlaps ");
    put_name(m, other);
    return CAMEO_OVERLAP;
  }
  for (int32_t i = 0; i < model->input_count; ++i) {
    const struct subject s = {"input ", &model->inputs[i], m};
    if (overlap(workspace, workspace_bytes, c->inputs[i], c->input_bytes[i]))
      return fail(&s, "overlaps the workspace", CAMEO_OVERLAP);
  }
  return CAMEO_OK;
}
