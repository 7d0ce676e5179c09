/* StringConcat. */
#include "strings.h"

void cameo_string_concat_pairs(struct cameo_env *env, const int64_t *a, const int64_t *b, int64_t *y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const CameoString first = string_text(env, a[i]), second = string_text(env, b[i]);
    const int64_t bytes = first.bytes + second.bytes; /* each is part of memory that exists */
    y[i] = !second.bytes ? a[i] : !first.bytes ? b[i] : 0;
    if (!first.bytes || !second.bytes) continue;
    char *text = string_room(env, bytes);
    if (!text) return;
    memcpy(text, first.data, (size_t)first.bytes);
    memcpy(text + first.bytes, second.data, (size_t)second.bytes);
    y[i] = string_made(env, text, bytes, bytes);
  }
}
