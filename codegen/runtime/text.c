/* Statuses in words, and the one-line messages with the values that broke a rule. */
#include "runtime.h"

#define NAME_LIMIT 200

const char *cameo_stub_status_text(int32_t status) {
  switch (status) {
  case CAMEO_OK:
    return "success";
  case CAMEO_NULL_POINTER:
    return "a required pointer is null";
  case CAMEO_BAD_CONTEXT:
    return "not a context of this model";
  case CAMEO_BUSY:
    return "the context is running in another thread";
  case CAMEO_BAD_OPTIONS:
    return "struct_size is not set, or an option is out of range";
  case CAMEO_WRONG_COUNT:
    return "wrong number of inputs, outputs or symbols";
  case CAMEO_WRONG_DTYPE:
    return "a tensor has the wrong dtype";
  case CAMEO_WRONG_RANK:
    return "a tensor has the wrong rank";
  case CAMEO_WRONG_DIM:
    return "a dim differs from the model's fixed dim";
  case CAMEO_SYMBOL_CONFLICT:
    return "one symbol was given two values";
  case CAMEO_DIM_OUT_OF_RANGE:
    return "a dim is negative or outside of the range that the model was compiled for";
  case CAMEO_BUFFER_TOO_SMALL:
    return "a tensor has fewer bytes than its shape needs";
  case CAMEO_MISALIGNED:
    return "data is not aligned to its element type";
  case CAMEO_OVERLAP:
    return "an output or the workspace overlaps another tensor";
  case CAMEO_WORKSPACE_TOO_SMALL:
    return "the workspace is too small";
  case CAMEO_OUT_OF_MEMORY:
    return "out of memory";
  case CAMEO_NO_THREADS:
    return "a worker thread could not be started";
  case CAMEO_CPU_UNSUPPORTED:
    return "the CPU lacks instructions that the model was compiled for";
  case CAMEO_NO_SUCH_VARIANT:
    return "the library has no variant of that name";
  case CAMEO_BAD_WEIGHTS:
    return "the weights are missing or have another size";
  case CAMEO_BAD_STRING:
    return "a string has a negative or impossible length, or no bytes";
  case CAMEO_INDEX_OUT_OF_RANGE:
    return "an index computed from the inputs is out of range";
  case CAMEO_DIVISION_BY_ZERO:
    return "an integer was divided by zero";
  case CAMEO_SHAPE_MISMATCH:
    return "shapes computed from the inputs do not fit together";
  case CAMEO_INVALID_VALUE:
    return "a value computed from the inputs is not allowed by the operator";
  case CAMEO_LIMIT_EXCEEDED:
    return "a trip count or a size computed from the inputs exceeds its limit";
  default:
    return "unknown status";
  }
}

struct message message_start(char *text, size_t room) {
  struct message m = {text, text ? room : 0, 0};
  if (m.room) text[0] = 0;
  return m;
}

static void put_char(struct message *m, char c) {
  if (m->used + 1 >= m->room) return;
  m->text[m->used++] = c;
  m->text[m->used] = 0;
}

void put_text(struct message *m, const char *text) {
  while (*text) put_char(m, *text++);
}

void put_name(struct message *m, const char *name) {
  put_char(m, '\'');
  for (int i = 0; name[i] && i < NAME_LIMIT; ++i) {
    unsigned char c = (unsigned char)name[i];
    put_char(m, c < 0x20 || c >= 0x7f || c == '\'' ? '?' : (char)c);
  }
  put_char(m, '\'');
}

void put_int(struct message *m, int64_t value) {
  char digits[20];
  int n = 0;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do digits[n++] = (char)('0' + rest % 10);
  while (rest /= 10);
  if (value < 0) put_char(m, '-');
  while (n) put_char(m, digits[--n]);
}
