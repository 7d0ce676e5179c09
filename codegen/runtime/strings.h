/* Strings while a run lasts: numbers to the program, text to the functions that look into them. Called by the thread of
 * the run only, never by a task. Files named string_x.c define functions named cameo_string_x_* and are linked where a
 * program calls one (codegen/artefact_stub.cpp). */
#ifndef CAMEO_STRINGS_H
#define CAMEO_STRINGS_H

#include "runtime.h"

#include <stddef.h>

int memcmp(const void *a, const void *b, size_t bytes);
void *memcpy(void *to, const void *from, size_t bytes);

/* The longest string that a run makes. */
#define MOST_STRING_BYTES INT32_MAX

/* The text of a number; of what is no number of a string, which only a run that has failed computes, the empty one. */
CameoString string_text(struct cameo_env *env, int64_t number);

/* Memory for a text; null, and the status set, when there is none or the text is too long. */
char *string_room(struct cameo_env *env, int64_t bytes);
/* The number of the text in the first `used` bytes of the last piece of string_room, which had `given`. What it does
 * not need is given back. 0 when there is no memory. */
int64_t string_made(struct cameo_env *env, char *room, int64_t given, int64_t used);
/* Gives back the last piece of string_room. */
void string_unused(struct cameo_env *env, int64_t given);

/* The number of a part of a text. 0 when there is no memory. */
int64_t string_part(struct cameo_env *env, int64_t of, int64_t begin, int64_t bytes);

/* The first status of a run stays. */
static inline void string_fail(struct cameo_env *env, int32_t status) {
  if (!env->status) env->status = status;
}

#endif
